/** Every text that people see or hear, in their language. */
import type { MessageView } from '../backend/bindings/MessageView';
import type { StatusView } from '../backend/bindings/StatusView';
import type { Timer } from '../backend/bindings/Timer';
import type { BackendError } from '../backend/error';
import { strengthOf } from '../strength';
import type { Remaining } from '../time';
import { say, text } from './language.svelte';

export { languages, setLanguage, spoken, text, type Choice } from './language.svelte';

/** A length of time in at most two units: "1 day", "1 min 30 s". */
export const duration = (seconds: number) => say.length(seconds);

/** The time of day: "14:31". */
export const timeOfDay = (moment: string) => say.time(moment);

/** A moment, whole: "Tuesday 3 March at 14:31". */
export const wholeMoment = (moment: string) => say.moment(moment);

/** When something was, as short as it can be said today. */
export const shortMoment = (moment: string, now: number) => say.shortMoment(moment, now);

/** A day between two messages: "Today", "Yesterday", "Tuesday, 3 March". */
export const dayName = (moment: string, now: number) => say.dayName(moment, now);

/** A name that may not be known yet, as it stands alone. */
export const nameOf = (name: string) => name.trim() || text.newContact;

/** After too many wrong passphrases. */
export const waitSentence = (left: string) => text.wait(left);

/** How a passphrase stands while it is typed. */
export const strengthSentence = (passphrase: string) => text.strength[strengthOf(passphrase)];

/** A timer as a rule: "1 day after read". */
export function timerRule(timer: Timer): string {
  if (timer.ttl_s === null) return text.rule.off;
  return (timer.mode === 'after_read' ? text.rule.afterRead : text.rule.afterSend)(say.length(timer.ttl_s));
}

/** A countdown: "21 h", "4:12", "9 s". */
export function countdown(remaining: Remaining): string {
  switch (remaining.unit) {
    case 'seconds':
      return say.count(remaining.seconds, text.left.seconds);
    case 'clock':
      return `${remaining.minutes}:${String(remaining.seconds).padStart(2, '0')}`;
    default:
      return say.count(remaining.count, text.left[remaining.unit]);
  }
}

/** A change of the timer, as one quiet line. */
export function noticeText(message: Pick<MessageView, 'kind' | 'sender' | 'notice'>, name: string): string {
  const mine = message.sender === 'me';
  const { notice: words } = text;
  const timer = message.notice;
  switch (message.kind) {
    case 'timer_changed':
      if (!timer) return mine ? words.weChanged : words.theyChanged(name);
      return mine ? words.weSet(timer) : words.theySet(name, timer);
    case 'timer_proposed':
      if (!timer) return mine ? words.weProposedSome : words.theyProposedSome(name);
      return mine ? words.weProposed(timer) : words.theyProposed(name, timer);
    case 'timer_declined':
      return mine ? words.weDeclined : words.theyDeclined(name);
    case 'damaged':
      return words.damaged;
    case 'text':
      return '';
  }
}

/** What stands under a chat's name in the list. */
export function previewText(message: MessageView, name: string): string {
  if (message.kind !== 'text') return noticeText(message, name);
  return message.sender === 'me' ? text.mine(message.text) : message.text;
}

function connectionWords(status: StatusView, hasRelays: boolean): string {
  const words = text.connection;
  switch (status.connection) {
    case 'no_relay':
      return hasRelays ? words.ready : words.noRelay;
    case 'connecting':
      return words.connecting;
    case 'connected':
      return words.connected(status.relays_connected);
    case 'offline':
      return words.offline;
  }
}

/** The connection in a few words. */
export function connectionLine(status: StatusView, hasRelays: boolean): string {
  const line = connectionWords(status, hasRelays);
  return status.waiting > 0 && status.connection !== 'connected' ? text.connection.waiting(line, status.waiting) : line;
}

/** One sentence that says what to do about an error. */
export function errorSentence(error: BackendError): string {
  if (error.waitS !== null) return text.wait(say.length(error.waitS));
  const errors: Record<string, string | undefined> = text.errors;
  return errors[error.code] ?? (error.message || text.errors.unknown);
}

/** The tier of erasure by its name alone; the backend's sentence goes on after a colon. */
export function erasureLine(tier: string): string {
  const name = tier.split(':')[0] ?? tier;
  return text.erasure(`${name.charAt(0).toLowerCase()}${name.slice(1)}`);
}
