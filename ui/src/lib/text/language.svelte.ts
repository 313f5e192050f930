/** Which language the window speaks. Nothing here is written to disk: whoever opens the profile tells the choice. */
import { english } from './en';
import { Say, type Language } from './say';

/** Every language that is offered, English first: it is also what speaks when none of the system's is there. */
export const languages: readonly [Language, ...Language[]] = [{ tag: 'en', name: 'English', dir: 'ltr', locale: 'en-GB', table: english }];

/** A choice as it is kept: the tag of a language, or the system's own. */
export type Choice = 'system' | (string & {});

/** The first language of the person's list that is spoken here. */
export function languageFor(choice: Choice, preferred: readonly string[]): Language {
  const wanted = choice === 'system' ? preferred : [choice];
  for (const tag of wanted) {
    const primary = tag.toLowerCase().split('-')[0];
    const found = languages.find((language) => language.tag === primary);
    if (found) return found;
  }
  return languages[0];
}

const first = languageFor('system', navigator.languages);

/** The ways of speaking now. */
export let say = new Say(first);

/** The table now. It is read anew whenever something is drawn; `spoken` says when everything has to be. */
export let text = say.texts;

let current = $state.raw(first);

/** What is spoken now; `tag` is the key under which the window is drawn anew. */
export const spoken = {
  get language(): Language {
    return current;
  },
};

function speak(language: Language): void {
  if (language !== current) {
    say = new Say(language);
    text = say.texts;
    current = language;
  }
  document.documentElement.lang = language.tag;
  document.documentElement.dir = language.dir;
}

/** Speaks the chosen language from now on. */
export function setLanguage(choice: Choice): void {
  speak(languageFor(choice, navigator.languages));
}

/** Speaks a language that is not offered: the tests' own. */
export const speakUnoffered = speak;

speak(first);
