/**
 * What the window knows of chats and messages, and how events change it: pure functions, no clock, no calls.
 *
 * Two rules hold throughout. Only `messages_wiped` takes a message away; a deadline alone never does. And what
 * was wiped never comes back, whatever arrives late: its id stays in `wiped`, its words stay nowhere.
 */
import type { ChatView } from '../backend/bindings/ChatView';
import type { Event } from '../backend/bindings/Event';
import type { MessageView } from '../backend/bindings/MessageView';

/**
 * A message's place in the view. Without its message it is a shell, wiped and empty, which fades and closes; after
 * that a gap, which takes no room and goes when the list can spare it without a jump.
 */
export interface Entry {
  readonly id: string;
  readonly order: number;
  readonly isNotice: boolean;
  readonly message: MessageView | null;
  /** When it was sent, for the day above it; a gap knows nothing of that any more. */
  readonly sentAt: string | null;
}

/** The newest part of a chat, without a gap, in order. */
export interface ChatLog {
  readonly entries: readonly Entry[];
  /** There is nothing older than the first entry. */
  readonly isComplete: boolean;
}

/** Everything that is known. */
export interface Ledger {
  readonly chats: ReadonlyMap<string, ChatView>;
  readonly logs: ReadonlyMap<string, ChatLog>;
  readonly wiped: ReadonlySet<string>;
}

/** Gaps that a list carries before it takes a jump. */
const MOST_GAPS = 200;

export const emptyLedger: Ledger = { chats: new Map(), logs: new Map(), wiped: new Set() };

/** The list of chats as the backend has it now. */
export function withChats(ledger: Ledger, chats: readonly ChatView[]): Ledger {
  return { ...ledger, chats: new Map(chats.map((chat) => [chat.id, alive(ledger, chat)])) };
}

/** One chat as the backend has it now. */
export function withChat(ledger: Ledger, chat: ChatView): Ledger {
  return { ...ledger, chats: new Map(ledger.chats).set(chat.id, alive(ledger, chat)) };
}

/** A chat's log begins: from now on events fill it, also before its first page is there. */
export function withLog(ledger: Ledger, chat: string): Ledger {
  if (ledger.logs.has(chat)) return ledger;
  return setLog(ledger, chat, { entries: [], isComplete: false });
}

/**
 * A page of a chat. Entries that are already there stay: events are newer than a page that was on its way.
 * A page shorter than `limit` is the chat's beginning.
 */
export function withPage(ledger: Ledger, chat: string, page: readonly MessageView[], limit: number): Ledger {
  const log = ledger.logs.get(chat) ?? { entries: [], isComplete: false };
  const known = new Set(log.entries.map((entry) => entry.id));
  const added = page.filter((message) => !known.has(message.id) && !ledger.wiped.has(message.id)).map(entryOf);
  const entries = [...log.entries, ...added].sort((a, b) => a.order - b.order);
  return setLog(ledger, chat, { entries, isComplete: log.isComplete || page.length < limit });
}

/** Everything but the memory of what was wiped is forgotten, to be asked for again. */
export function forgotten(ledger: Ledger): Ledger {
  return { ...ledger, logs: new Map() };
}

/**
 * The shells of `ids` are closed. They become gaps, because the list knows its rows' heights by their place: only
 * what lies at an end can go without moving the others. A list with too many gaps takes one jump.
 */
export function withoutShells(ledger: Ledger, chat: string, ids: readonly string[]): Ledger {
  const log = ledger.logs.get(chat);
  if (!log) return ledger;
  const gone = new Set(ids);
  const entries = log.entries.map((entry) =>
    entry.message === null && gone.has(entry.id) ? { ...entry, sentAt: null } : entry,
  );
  const gaps = entries.filter(isGap).length;
  if (gaps > MOST_GAPS) return withoutGaps(setLog(ledger, chat, { ...log, entries }), chat);
  return setLog(ledger, chat, { ...log, entries: trimmed(entries) });
}

/** A chat without its gaps, for a list that is about to be made. */
export function withoutGaps(ledger: Ledger, chat: string): Ledger {
  const log = ledger.logs.get(chat);
  if (!log?.entries.some(isGap)) return ledger;
  return setLog(ledger, chat, { ...log, entries: log.entries.filter((entry) => !isGap(entry)) });
}

/** Whether nothing is left of an entry but its place. */
export function isGap(entry: Entry): boolean {
  return entry.message === null && entry.sentAt === null;
}

/** Without the gaps at the end, or, where there are none, at the start: one change at a time is without a jump. */
function trimmed(entries: readonly Entry[]): readonly Entry[] {
  const last = entries.findLastIndex((entry) => !isGap(entry));
  if (last < entries.length - 1) return entries.slice(0, last + 1);
  const first = entries.findIndex((entry) => !isGap(entry));
  return first > 0 ? entries.slice(first) : entries;
}

/** What an event makes of the ledger. */
export function applyEvent(ledger: Ledger, event: Event): Ledger {
  switch (event.event) {
    case 'message_received':
    case 'message_queued':
    case 'message_changed':
      return withMessage(ledger, event.message);
    case 'messages_wiped':
      return withWiped(ledger, event.chat, event.ids);
    case 'chat_changed':
      return withChat(ledger, event.chat);
    case 'draft_wiped':
    case 'status_changed':
      return ledger;
  }
}

/** A message as it is now, new or known. */
export function withMessage(ledger: Ledger, message: MessageView): Ledger {
  if (ledger.wiped.has(message.id)) return ledger;
  const chats = withLast(ledger.chats, message);
  ledger = withQuotes(ledger, message.chat, [message.id], message);
  const log = ledger.logs.get(message.chat);
  if (!log) return { ...ledger, chats };
  return setLog({ ...ledger, chats }, message.chat, { ...log, entries: upserted(log, message) });
}

function withWiped(ledger: Ledger, chat: string, ids: readonly string[]): Ledger {
  const wiped = new Set([...ledger.wiped, ...ids]);
  let next: Ledger = withQuotes({ ...ledger, wiped }, chat, ids, null);
  const log = next.logs.get(chat);
  if (log) {
    const dead = new Set(ids);
    const entries = log.entries.map((entry) => (dead.has(entry.id) ? { ...entry, message: null } : entry));
    next = setLog(next, chat, { ...log, entries });
  }
  const view = next.chats.get(chat);
  return view ? withChat(next, view) : next;
}

/** What is quoted of a message dies with it, and changes with it: nothing keeps words of its own. */
function withQuotes(ledger: Ledger, chat: string, ids: readonly string[], source: MessageView | null): Ledger {
  const log = ledger.logs.get(chat);
  if (!log) return ledger;
  const named = new Set(ids);
  let isChanged = false;
  const entries = log.entries.map((entry) => {
    const quote = entry.message?.quote;
    if (!entry.message || !quote || !named.has(quote.id) || quote.text === source?.text) return entry;
    isChanged = true;
    return { ...entry, message: { ...entry.message, quote: source && { ...quote, text: source.text } } };
  });
  return isChanged ? setLog(ledger, chat, { ...log, entries }) : ledger;
}

/** A chat whose last message, if it was wiped, is the newest one that is known to live. */
function alive(ledger: Ledger, chat: ChatView): ChatView {
  if (!chat.last || !ledger.wiped.has(chat.last.id)) return chat;
  const entries = ledger.logs.get(chat.id)?.entries ?? [];
  const last = entries.findLast((entry) => entry.message !== null && !ledger.wiped.has(entry.id));
  return { ...chat, last: last?.message ?? null };
}

function withLast(chats: Ledger['chats'], message: MessageView): Ledger['chats'] {
  const chat = chats.get(message.chat);
  if (!chat || (chat.last && chat.last.order > message.order)) return chats;
  return new Map(chats).set(chat.id, { ...chat, last: message });
}

function upserted(log: ChatLog, message: MessageView): readonly Entry[] {
  const at = log.entries.findIndex((entry) => entry.id === message.id);
  if (at >= 0) return log.entries.with(at, entryOf(message));
  // A message older than the loaded part would tear a gap into it; its page brings it when it is asked for.
  const oldest = log.entries[0];
  if (oldest && message.order < oldest.order && !log.isComplete) return log.entries;
  const after = log.entries.findLastIndex((entry) => entry.order < message.order);
  return log.entries.toSpliced(after + 1, 0, entryOf(message));
}

function entryOf(message: MessageView): Entry {
  return { id: message.id, order: message.order, isNotice: message.kind !== 'text', message, sentAt: message.sent_at };
}

function setLog(ledger: Ledger, chat: string, log: ChatLog): Ledger {
  return { ...ledger, logs: new Map(ledger.logs).set(chat, log) };
}
