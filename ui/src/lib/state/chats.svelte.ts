/** The chats and messages of the open profile: the ledger, kept current by events, and the acts upon it. */
import { SvelteMap } from 'svelte/reactivity';
import type { Arrangement } from '../backend/bindings/Arrangement';
import type { ChatView } from '../backend/bindings/ChatView';
import type { MessageView } from '../backend/bindings/MessageView';
import type { Timer } from '../backend/bindings/Timer';
import * as commands from '../backend/commands';
import { watch, type Told } from '../backend/events';
import { lifeOf, type Life } from '../time';
import { Answers } from './answers';
import {
  applyEvent,
  emptyLedger,
  forgotten,
  withChat,
  withChats,
  withLog,
  withMessage,
  withPage,
  withoutGaps,
  withoutShells,
  type ChatLog,
} from './ledger';
import { session } from './session.svelte';

const PAGE = 50;
/** How long a shell takes to fade and close. */
export const FADE_MS = 240;
/** How long the hands rest before what they wrote is kept. */
const SAVE_MS = 1_000;
/** Events that come close together cause one look at the list. */
const REFRESH_MS = 80;

const noLog: ChatLog = { entries: [], isComplete: false };

export class Chats {
  #ledger = $state.raw(emptyLedger);
  #openId = $state<string | null>(null);
  /** Pages on their way, by chat. Nothing shows them, so nothing need react. */
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  #loading = new Map<string, Promise<void>>();
  /** Rises when everything is asked for again: a page from before would tear a gap into the new log. */
  #round = 0;
  #answers = new Answers();
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;

  /** Words not yet sent, by chat. The backend keeps them sealed, a moment later. */
  drafts = new SvelteMap<string, string>();
  /** The shorter timer that somebody chose for what they write now, by chat. */
  timers = new SvelteMap<string, Timer>();
  /** The message that is being answered, by chat. Its words stand where it stands, not here. */
  answering = new SvelteMap<string, string>();
  /** The message of ours that is being given other words, by chat, and the draft that waits meanwhile. */
  editing = new SvelteMap<string, { id: string; waiting: string }>();
  /** The chat that a message has just come in to, and how many have: for the live region. */
  arrival = $state.raw<{ chat: string; count: number } | null>(null);

  /** Chats whose draft is another than the one that is kept, with the moment at which it will be. */
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  #unsaved = new Map<string, ReturnType<typeof setTimeout>>();
  /** Chats whose kept draft has been taken up. */
  // eslint-disable-next-line svelte/prefer-svelte-reactivity
  #takenUp = new Set<string>();

  /** How often something has died. */
  wipes = $state(0);

  /** All chats, the one with the newest message first. */
  list = $derived([...this.#ledger.chats.values()].sort((a, b) => rank(b) - rank(a) || lastMoment(b) - lastMoment(a)));
  open = $derived(this.#openId === null ? null : (this.#ledger.chats.get(this.#openId) ?? null));
  log = $derived(this.#openId === null ? noLog : (this.#ledger.logs.get(this.#openId) ?? noLog));

  /** Listens first and asks then, so that nothing falls between. */
  async connect(): Promise<void> {
    const counts = this.#answers.begin();
    await watch((told) => {
      if (counts()) this.hear(told);
    });
    if (counts()) await this.refresh();
  }

  /** Takes in one event. */
  hear(told: Told): void {
    if (told.event === 'resync') {
      void this.#resync();
      return;
    }
    if (told.event === 'status_changed') {
      session.status = told.status;
      return;
    }
    if (told.event === 'draft_wiped') this.#dropDraft(told.chat);
    this.#ledger = applyEvent(this.#ledger, told);
    if (told.event === 'messages_wiped') {
      this.wipes += 1;
      this.#leaveDead(told.chat, told.ids);
      this.#closeShells(told.chat, told.ids);
    }
    if (told.event === 'message_received' && !this.#ledger.wiped.has(told.message.id)) {
      this.arrival = { chat: told.message.chat, count: (this.arrival?.count ?? 0) + 1 };
    }
    this.#refreshSoon();
  }

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.#answers.end();
    this.#round += 1;
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = undefined;
    this.#ledger = emptyLedger;
    this.#openId = null;
    this.#loading.clear();
    this.drafts.clear();
    for (const timer of this.#unsaved.values()) clearTimeout(timer);
    this.#unsaved.clear();
    this.#takenUp.clear();
    this.timers.clear();
    this.answering.clear();
    this.editing.clear();
    this.arrival = null;
  }

  /** Asks for the list: unread counts and last messages are the backend's to say. */
  async refresh(): Promise<void> {
    await this.#answers.take(commands.chats(), (list) => {
      // The ledger as it is now: events came in while the list was on its way.
      this.#ledger = withChats(this.#ledger, list);
      for (const chat of list) this.#takeUp(chat);
    });
  }

  /** Shows a chat, or none. */
  async show(id: string | null): Promise<void> {
    void this.saveDrafts();
    this.#openId = id;
    if (id === null) return;
    if (this.#ledger.logs.has(id)) {
      this.#ledger = withoutGaps(this.#ledger, id);
      return;
    }
    this.#ledger = withLog(this.#ledger, id);
    await this.#load(id, null);
  }

  /** Loads what is older than the open chat's first message, where there is something older. */
  async loadOlder(): Promise<void> {
    const id = this.#openId;
    const oldest = this.log.entries[0];
    if (id === null || this.log.isComplete || !oldest) return;
    await this.#load(id, oldest.order);
  }

  /** Sends the draft; where it could not be sent, the words are the draft again, before what was written since. */
  async send(chat: ChatView, text: string): Promise<void> {
    const counts = this.#answers.begin();
    const source = this.answering.get(chat.id) ?? null;
    this.drafts.delete(chat.id);
    this.answering.delete(chat.id);
    // Sending forgets the draft that is kept, in the same write.
    this.#isSaved(chat.id);
    try {
      const sent = commands.sendMessage(chat.id, text, this.timers.get(chat.id) ?? null, source);
      await this.#answers.take(sent, (message) => (this.#ledger = withMessage(this.#ledger, message)));
    } catch (cause) {
      const since = this.drafts.get(chat.id) ?? '';
      if (counts()) this.write(chat.id, since === '' ? text : `${text}\n${since}`);
      throw cause;
    }
  }

  /** What is being written in a chat. */
  write(chat: string, text: string): void {
    this.drafts.set(chat, text);
    this.#saveSoon(chat);
  }

  /** Whether something is being written that is not kept yet. */
  get hasUnsaved(): boolean {
    return this.#unsaved.size > 0;
  }

  /** Has the backend keep what is being written, now. */
  async saveDrafts(): Promise<void> {
    await Promise.all([...this.#unsaved.keys()].map((chat) => this.#save(chat)));
  }

  /** A message of the open chat, as long as it lives. */
  message(id: string): MessageView | null {
    return this.log.entries.find((entry) => entry.id === id)?.message ?? null;
  }

  /** What is written next answers this message. */
  answer(message: MessageView): void {
    this.leave(message.chat);
    this.answering.set(message.chat, message.id);
    this.#saveSoon(message.chat);
  }

  /** What is written next takes the place of this message's words; the draft waits. */
  edit(message: MessageView): void {
    this.leave(message.chat);
    this.editing.set(message.chat, { id: message.id, waiting: this.drafts.get(message.chat) ?? '' });
    this.drafts.set(message.chat, message.text);
  }

  /** The newest message of ours in the open chat that can still be given other words. */
  lastEditable(): MessageView | null {
    const entry = this.log.entries.findLast((entry) => entry.message !== null && isEditable(entry.message, Date.now()));
    return entry?.message ?? null;
  }

  /** Neither answers nor edits any more; the draft from before is there again. */
  leave(chat: string): void {
    this.answering.delete(chat);
    const edit = this.editing.get(chat);
    this.#saveSoon(chat);
    if (!edit) return;
    this.editing.delete(chat);
    this.drafts.set(chat, edit.waiting);
  }

  /** Gives the message that is being edited its new words. */
  async saveEdit(chat: ChatView, text: string): Promise<void> {
    const edit = this.editing.get(chat.id);
    if (!edit) return;
    const changed = commands.editMessage(chat.id, edit.id, text);
    await this.#answers.take(changed, (message) => (this.#ledger = withMessage(this.#ledger, message)));
    if (this.editing.get(chat.id)?.id === edit.id) this.leave(chat.id);
  }

  /** Puts our sign under a message, or takes it away where it is the one. */
  async react(message: MessageView, emoji: string): Promise<void> {
    const isMine = message.reactions.some((reaction) => reaction.is_mine && reaction.emoji === emoji);
    const changed = commands.react(message.chat, message.id, isMine ? '' : emoji);
    await this.#answers.take(changed, (message) => (this.#ledger = withMessage(this.#ledger, message)));
  }

  /** Destroys a message here, or everywhere; the event that says so takes it from sight. */
  async delete(message: MessageView, isForEveryone: boolean): Promise<void> {
    if (isForEveryone) await commands.deleteForEveryone(message.chat, message.id);
    else await commands.wipeMessage(message.chat, message.id);
  }

  async arrange(chat: string, arrangement: Arrangement): Promise<void> {
    await this.#keep(commands.arrange(chat, arrangement));
  }

  async markRead(chat: string, ids: string[]): Promise<void> {
    await commands.markRead(chat, ids);
  }

  async setTimer(chat: string, timer: Timer): Promise<void> {
    await this.#keep(commands.setTimer(chat, timer));
  }

  async setBurnOnLock(chat: string, burns: boolean): Promise<void> {
    await this.#keep(commands.setBurnOnLock(chat, burns));
  }

  async answerTimer(chat: string, accept: boolean): Promise<void> {
    await this.#keep(commands.answerTimer(chat, accept));
  }

  /** Accepts an invitation link and shows the chat that came of it. */
  async accept(link: string): Promise<void> {
    const asked = commands.acceptInvitation(link);
    if (await this.#keep(asked)) await this.show((await asked).id);
  }

  /** The life of a chat's oldest living message, as far as it is known. */
  lifeOf(chat: ChatView): Life | null {
    const entries = this.#ledger.logs.get(chat.id)?.entries ?? [];
    for (const entry of entries) {
      const life = entry.message && lifeOf(entry.message);
      if (life) return life;
    }
    return chat.last && lifeOf(chat.last);
  }

  #keep(asked: Promise<ChatView>): Promise<boolean> {
    return this.#answers.take(asked, (chat) => (this.#ledger = withChat(this.#ledger, chat)));
  }

  #load(id: string, before: number | null): Promise<void> {
    const running = this.#loading.get(id);
    if (running) return running;
    const round = this.#round;
    const load = commands
      .messages(id, before, PAGE)
      .then((page) => {
        if (round === this.#round) this.#ledger = withPage(this.#ledger, id, page, PAGE);
      })
      .finally(() => {
        if (this.#loading.get(id) === load) this.#loading.delete(id);
      });
    this.#loading.set(id, load);
    return load;
  }

  async #resync(): Promise<void> {
    this.#round += 1;
    this.#loading.clear();
    this.#ledger = forgotten(this.#ledger);
    const id = this.#openId;
    const log = id === null ? Promise.resolve() : this.show(id);
    await Promise.all([this.refresh(), log, session.refreshStatus()]).catch(() => undefined);
  }

  #saveSoon(chat: string): void {
    clearTimeout(this.#unsaved.get(chat));
    this.#unsaved.set(chat, setTimeout(() => void this.#save(chat), SAVE_MS));
  }

  #isSaved(chat: string): void {
    clearTimeout(this.#unsaved.get(chat));
    this.#unsaved.delete(chat);
  }

  async #save(chat: string): Promise<void> {
    this.#isSaved(chat);
    // While a message is edited its words are not a draft: the one that waits is kept.
    const words = this.editing.get(chat)?.waiting ?? this.drafts.get(chat) ?? '';
    // What could not be kept now is, with the next key.
    await commands.setDraft(chat, words, this.answering.get(chat) ?? null).catch(() => undefined);
  }

  /** A draft that was kept is in the field again, once, unless something else is. */
  #takeUp(chat: ChatView): void {
    if (this.#takenUp.has(chat.id)) return;
    this.#takenUp.add(chat.id);
    if (!chat.draft || this.drafts.has(chat.id)) return;
    this.drafts.set(chat.id, chat.draft.text);
    if (chat.draft.reply_to !== null) this.answering.set(chat.id, chat.draft.reply_to);
  }

  /** A draft has died, and with it what stands in the field. */
  #dropDraft(chat: string): void {
    this.#isSaved(chat);
    const edit = this.editing.get(chat);
    if (edit) this.editing.set(chat, { ...edit, waiting: '' });
    else this.drafts.delete(chat);
    this.answering.delete(chat);
  }

  /** Whatever was written about a message that has died is left; its own words among it go with it. */
  #leaveDead(chat: string, ids: readonly string[]): void {
    const about = this.editing.get(chat)?.id ?? this.answering.get(chat);
    if (about !== undefined && ids.includes(about)) this.leave(chat);
  }

  #closeShells(chat: string, ids: readonly string[]): void {
    const close = () => {
      this.#ledger = withoutShells(this.#ledger, chat, ids);
    };
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) close();
    else setTimeout(close, FADE_MS);
  }

  #refreshSoon(): void {
    this.#refreshTimer ??= setTimeout(() => {
      this.#refreshTimer = undefined;
      // A list that could not be had now is asked for again with the next event.
      this.refresh().catch(() => undefined);
    }, REFRESH_MS);
  }
}

/** Pinned chats stand above the others. */
const rank = (chat: ChatView) => (chat.pinned_at === null ? 0 : 1);

/** How long after sending a message can be given other words. */
const EDIT_WINDOW_MS = 24 * 3_600_000;

/** Whether a message is ours, has words, and is not older than a day. */
export const isEditable = (message: MessageView, now: number) =>
  message.sender === 'me' && message.kind === 'text' && now - Date.parse(message.sent_at) < EDIT_WINDOW_MS;

function lastMoment(chat: ChatView): number {
  return Date.parse(chat.last?.sent_at ?? chat.created_at);
}

export const chats = new Chats();
