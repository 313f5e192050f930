/**
 * A stand-in for the shell, for pictures and for tests: it answers the commands from memory and tells events.
 * It keeps time for nobody; whoever uses it says when something dies.
 */
import type { Arrangement } from './bindings/Arrangement';
import type { ChatView } from './bindings/ChatView';
import type { MessageView } from './bindings/MessageView';
import type { ProfileView } from './bindings/ProfileView';
import type { StatusView } from './bindings/StatusView';
import type { Timer } from './bindings/Timer';
import type { Told } from './events';
import { SealedTransport, useTransport } from './bridge';
import type { Security } from './commands';
import { isLonger } from '../time';

/** The shell is itself again. */
export const uninstall = () => useTransport(new SealedTransport());

type Args = Record<string, unknown>;

export const dayAfterRead: Timer = { mode: 'after_read', ttl_s: 86_400 };

/** An id as the backend makes them: 32 hex digits. */
export const idOf = (number: number) => number.toString(16).padStart(32, '0');

export function profileOf(name = 'Ada'): ProfileView {
  return { name, relays: ['ws://127.0.0.1:7420'], default_timer: dayAfterRead, erasure: 'Hardware', has_passphrase: false };
}

export function chatOf(number: number, part: Partial<ChatView> = {}): ChatView {
  return {
    id: idOf(number),
    name: 'Mara Keller',
    state: 'active',
    timer: dayAfterRead,
    burns_on_lock: false,
    proposal: null,
    unread: 0,
    last: null,
    draft: null,
    hue: 120,
    created_at: '2026-03-03T10:00:00Z',
    pinned_at: null,
    muted_until: null,
    is_archived: false,
    is_blocked: false,
    ...part,
  };
}

export function messageOf(number: number, part: Partial<MessageView> = {}): MessageView {
  return {
    id: idOf(0xa000 + number),
    chat: idOf(1),
    sender: 'them',
    kind: 'text',
    text: `Words ${number}`,
    notice: null,
    timer: dayAfterRead,
    sent_at: '2026-03-03T14:00:00Z',
    expires_at: null,
    dies_unread_at: null,
    state: 'seen',
    quote: null,
    reactions: [],
    is_edited: false,
    order: number,
    ...part,
  };
}

export class FakeBackend {
  state: 'none' | 'locked' | 'open' = 'open';
  passphrase: string | null = null;
  profile = profileOf();
  chats: ChatView[] = [];
  messages: MessageView[] = [];
  status: StatusView = { connection: 'connected', relays_connected: 2, relays_known: 2, waiting: 0, erasure: 'Hardware' };
  isLocalOnly = true;
  security: Security = { has_passphrase: false, has_keyring: false, has_tpm: false, erase_after: null, lock_after_s: 900, locks_with_session: true };
  /** How long somebody has to wait who has typed a wrong passphrase. */
  waitS = 0;
  /** The chat that the page before had open. */
  resumes: string | null = null;
  /** Every call that came, in order. */
  calls: { command: string; args: Args }[] = [];
  /** Codes with which the next call of a command fails. */
  faults = new Map<string, string>();
  /** Where the window listens. */
  heard: ((told: Told) => void) | undefined;
  #next = 0xf000;

  /** Takes the shell's place. */
  install(): this {
    useTransport({
      // Through JSON, as it crosses the bridge: nothing is shared with whoever asked.
      call: async (command, args) => structuredClone(await this.answer(command, structuredClone(args))),
      watch: async (heard) => {
        await this.answer('watch', {});
        this.heard = heard;
      },
    });
    return this;
  }

  /** Tells the window an event. */
  tell(event: Told): void {
    this.heard?.(event);
  }

  /** Destroys messages, as the reaper does. */
  wipe(chat: string, ids: string[]): void {
    this.messages = this.messages.filter((message) => !ids.includes(message.id));
    this.tell({ event: 'messages_wiped', chat, ids });
  }

  callsOf(command: string): Args[] {
    return this.calls.filter((call) => call.command === command).map((call) => call.args);
  }

  answer(command: string, args: Args): unknown {
    this.calls.push({ command, args });
    const code = this.faults.get(command);
    if (code !== undefined) {
      this.faults.delete(command);
      // The shell's errors are plain objects, not instances of Error.
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw { code, message: 'The backend said so.' };
    }
    const handler = this.#handlers[command];
    if (!handler) throw new Error(`The stand-in knows no command ${command}.`);
    return handler(args);
  }

  #handlers: Record<string, (args: Args) => unknown> = {
    profile_state: () => ({ state: this.state }),
    profile: () => this.profile,
    status: () => this.status,
    create_profile: ({ name }) => (this.profile = { ...this.profile, name: name as string }),
    unlock: ({ passphrase }) => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      if (this.waitS > 0) throw { code: 'too_many_attempts', message: '', wait_s: this.waitS };
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      if (passphrase !== this.passphrase) throw { code: 'passphrase_wrong', message: '' };
      this.state = 'open';
      return this.profile;
    },
    active: () => null,
    rest: () => null,
    resume: () => this.resumes,
    lock: () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      if (!this.security.has_passphrase) throw { code: 'passphrase_unset', message: '' };
      this.state = 'locked';
      return null;
    },
    panic: () => {
      this.state = 'none';
      return null;
    },
    security: () => this.security,
    set_passphrase: ({ passphrase }) => {
      this.passphrase = passphrase as string;
      return this.#secure({ has_passphrase: true });
    },
    change_passphrase: ({ old, passphrase }) => {
      this.#prove(old);
      this.passphrase = passphrase as string;
      return this.security;
    },
    remove_passphrase: ({ old }) => {
      this.#prove(old);
      return this.#secure({ has_passphrase: false });
    },
    set_duress: ({ passphrase }) => {
      this.#prove(passphrase);
      return this.security;
    },
    use_keyring: ({ isUsed }) => this.#secure({ has_keyring: isUsed as boolean }),
    use_tpm: ({ isUsed }) => this.#secure({ has_tpm: isUsed as boolean }),
    set_erase_after: ({ failures }) => this.#secure({ erase_after: failures as number | null }),
    set_lock_after: ({ seconds }) => this.#secure({ lock_after_s: seconds as number | null }),
    set_relays: ({ relays }) => (this.profile = { ...this.profile, relays: relays as string[] }),
    create_invitation: () => ({
      link: `mayfly:${'AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_'.repeat(24)}`,
      expires_at: new Date(Date.now() + 7 * 86_400_000).toISOString(),
      is_local_only: this.isLocalOnly,
    }),
    accept_invitation: () => {
      const chat = chatOf((this.#next += 1), { name: '', state: 'waiting', hue: 40, created_at: new Date().toISOString() });
      this.chats.push(chat);
      return chat;
    },
    chats: () => this.chats,
    messages: ({ chat, before, limit }) =>
      this.messages
        .filter((message) => message.chat === chat && (before === null || message.order < (before as number)))
        .sort((a, b) => a.order - b.order)
        .slice(-(limit as number)),
    send_message: ({ chat, text, timer, replyTo }) =>
      this.#send(chat as string, text as string, timer as Timer | null, replyTo as string | null),
    set_draft: ({ chat, text, replyTo }) => {
      const draft = text === '' && replyTo === null ? null : { text: text as string, reply_to: replyTo as string | null };
      this.#change(chat as string, { draft });
      return null;
    },
    react: ({ id, emoji }) => {
      const others = this.#message(id as string).reactions.filter((reaction) => !reaction.is_mine);
      const mine = emoji === '' ? [] : [{ emoji: emoji as string, count: 1, is_mine: true }];
      return this.#changeMessage(id as string, { reactions: [...others, ...mine] });
    },
    edit_message: ({ id, text }) => this.#changeMessage(id as string, { text: text as string, is_edited: true }),
    delete_for_everyone: ({ chat, id }) => {
      this.wipe(chat as string, [id as string]);
      return null;
    },
    arrange: ({ chat, arrangement }) => this.#arrange(chat as string, arrangement as Arrangement),
    mark_read: () => null,
    set_timer: ({ chat, timer }) => this.#setTimer(chat as string, timer as Timer),
    answer_timer: ({ chat, accept }) => {
      const proposal = this.#chat(chat as string).proposal;
      return this.#change(chat as string, { proposal: null, ...(accept && proposal ? { timer: proposal.timer } : {}) });
    },
    set_burn_on_lock: ({ chat, burns }) => this.#change(chat as string, { burns_on_lock: burns as boolean }),
    wipe_message: ({ chat, id }) => {
      this.wipe(chat as string, [id as string]);
      return null;
    },
    watch: () => null,
  };

  #secure(part: Partial<Security>): Security {
    return (this.security = { ...this.security, ...part });
  }

  #prove(passphrase: unknown): void {
    // eslint-disable-next-line @typescript-eslint/only-throw-error
    if (passphrase !== this.passphrase) throw { code: 'passphrase_wrong', message: '' };
  }

  #chat(id: string): ChatView {
    const chat = this.chats.find((chat) => chat.id === id);
    if (!chat) throw new Error('The stand-in has no such chat.');
    return chat;
  }

  #change(id: string, part: Partial<ChatView>): ChatView {
    const changed = { ...this.#chat(id), ...part };
    this.chats = this.chats.map((chat) => (chat.id === id ? changed : chat));
    return changed;
  }

  #setTimer(id: string, timer: Timer): ChatView {
    const weaker = isLonger(timer, this.#chat(id).timer);
    return this.#change(id, weaker ? { proposal: { timer, is_ours: true } } : { timer, proposal: null });
  }

  #message(id: string): MessageView {
    const message = this.messages.find((message) => message.id === id);
    if (!message) throw new Error('The stand-in has no such message.');
    return message;
  }

  #changeMessage(id: string, part: Partial<MessageView>): MessageView {
    const changed = { ...this.#message(id), ...part };
    this.messages = this.messages.map((message) => (message.id === id ? changed : message));
    this.tell({ event: 'message_changed', message: changed });
    return changed;
  }

  #arrange(id: string, { what, value }: Arrangement): ChatView {
    switch (what) {
      case 'pinned':
        return this.#change(id, { pinned_at: value ? new Date().toISOString() : null });
      case 'muted':
        return this.#change(id, { muted_until: Date.parse(value) > Date.now() ? value : null });
      case 'archived':
        return this.#change(id, { is_archived: value });
      case 'blocked':
        return this.#change(id, { is_blocked: value });
    }
  }

  #send(id: string, text: string, own: Timer | null, replyTo: string | null): MessageView {
    const source = replyTo === null ? null : this.#message(replyTo);
    const timer = own ?? this.#chat(id).timer;
    const now = Date.now();
    const runs = timer.mode === 'after_send' && timer.ttl_s !== null;
    const message = messageOf((this.#next += 1), {
      chat: id,
      sender: 'me',
      text,
      timer,
      state: 'waiting',
      quote: source && { id: source.id, sender: source.sender, text: source.text },
      sent_at: new Date(now).toISOString(),
      expires_at: runs ? new Date(now + (timer.ttl_s ?? 0) * 1000).toISOString() : null,
    });
    this.messages.push(message);
    this.#change(id, { last: message, draft: null });
    return message;
  }
}
