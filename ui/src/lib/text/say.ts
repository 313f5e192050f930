/** What the tables of all languages say in the same way: counts, lengths, names, moments. */
import type { Timer } from '../backend/bindings/Timer';
import { DAY_S, HOUR_S, MINUTE_S, WEEK_S, dayOf } from '../time';
import type { Texts } from './en';

/** The forms of a counted thing by the plural rules of its language; `#` is the count. */
export type Forms = { readonly other: string } & Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>;

/** A language: how it is called by those who speak it, how it runs, how it writes dates, and its table. */
export interface Language {
  readonly tag: string;
  readonly name: string;
  readonly dir: 'ltr' | 'rtl';
  /** The tag by which dates and counts are written. */
  readonly locale: string;
  readonly table: (say: Say) => Texts;
}

const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** Whether the system tells the time with a.m. and p.m.; that holds in every language. */
const systemCycle = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' }).resolvedOptions().hourCycle;

/** The ways of speaking of one language. */
export class Say {
  /** The table that these ways belong to. */
  readonly texts: Texts;
  readonly #rtl: boolean;
  readonly #rules: Intl.PluralRules;
  readonly #clock: Intl.DateTimeFormat;
  readonly #weekday: Intl.DateTimeFormat;
  readonly #day: Intl.DateTimeFormat;
  readonly #longDay: Intl.DateTimeFormat;
  readonly #longDayYear: Intl.DateTimeFormat;
  readonly #moment: Intl.DateTimeFormat;

  constructor(language: Language) {
    const { locale } = language;
    this.#rtl = language.dir === 'rtl';
    this.#rules = new Intl.PluralRules(locale);
    this.#clock = new Intl.DateTimeFormat(locale, { timeStyle: 'short', ...(systemCycle ? { hourCycle: systemCycle } : {}) });
    this.#weekday = new Intl.DateTimeFormat(locale, { weekday: 'short' });
    this.#day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });
    this.#longDay = new Intl.DateTimeFormat(locale, { weekday: 'long', day: 'numeric', month: 'long' });
    this.#longDayYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric' });
    this.#moment = new Intl.DateTimeFormat(locale, {
      weekday: 'long',
      day: 'numeric',
      month: 'long',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    this.texts = language.table(this);
  }

  /** A counted thing: "1 day", "3 days". */
  count(count: number, forms: Forms): string {
    return (forms[this.#rules.select(count)] ?? forms.other).replace('#', String(count));
  }

  /** A length of time in at most two units: "1 day", "1 min 30 s". */
  length(seconds: number): string {
    const forms = this.texts.length;
    const units: [number, Forms][] = [
      [WEEK_S, forms.week],
      [DAY_S, forms.day],
      [HOUR_S, forms.hour],
      [MINUTE_S, forms.minute],
      [1, forms.second],
    ];
    const parts: string[] = [];
    let rest = seconds;
    for (const [size, form] of units) {
      const count = Math.floor(rest / size);
      if (count === 0) continue;
      parts.push(this.count(count, form));
      rest -= count * size;
      if (parts.length === 2) break;
    }
    return parts.join(' ') || this.count(0, forms.second);
  }

  /** What a timer does to messages, to end a sentence with: "disappear 1 day after they are read". */
  fate(timer: Timer): string {
    const { fate } = this.texts;
    if (timer.ttl_s === null) return fate.stay;
    return (timer.mode === 'after_read' ? fate.afterRead : fate.afterSend)(this.length(timer.ttl_s));
  }

  /** A name that may not be known yet, kept from turning the sentence around it the wrong way. */
  name(name: string): string {
    const known = name.trim() || this.texts.newContact;
    return this.#rtl || RIGHT_TO_LEFT.test(known) ? `\u2068${known}\u2069` : known;
  }

  /** A moment, whole: "Tuesday 3 March at 14:31". */
  moment(moment: string): string {
    return this.#moment.format(new Date(moment));
  }

  /** A day: "3 Mar". */
  day(moment: string): string {
    return this.#day.format(new Date(moment));
  }

  /** The time of day: "14:31". */
  time(moment: string): string {
    return this.#clock.format(new Date(moment));
  }

  /** When something was, as short as it can be said today: "14:31", "Yesterday", "Sat", "3 Mar". */
  shortMoment(moment: string, now: number): string {
    const date = new Date(moment);
    const ago = dayOf(now) - dayOf(date.getTime());
    if (ago <= 0) return this.#clock.format(date);
    if (ago === 1) return this.texts.yesterday;
    return (ago < 7 ? this.#weekday : this.#day).format(date);
  }

  /** A day between two messages: "Today", "Yesterday", "Tuesday, 3 March". */
  dayName(moment: string, now: number): string {
    const date = new Date(moment);
    const ago = dayOf(now) - dayOf(date.getTime());
    if (ago === 0) return this.texts.today;
    if (ago === 1) return this.texts.yesterday;
    const isThisYear = date.getFullYear() === new Date(now).getFullYear();
    return (isThisYear ? this.#longDay : this.#longDayYear).format(date);
  }
}
