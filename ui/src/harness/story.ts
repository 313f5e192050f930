/** An invented evening of conversations, so that the window can be looked at. */
import type { ChatView } from '../lib/backend/bindings/ChatView';
import type { MessageView } from '../lib/backend/bindings/MessageView';
import type { Timer } from '../lib/backend/bindings/Timer';
import { FakeBackend, chatOf, dayAfterRead, idOf, messageOf } from '../lib/backend/fake';

const HOUR = 3_600_000;
const tenSeconds: Timer = { mode: 'after_send', ttl_s: 10 };
const hourAfterRead: Timer = { mode: 'after_read', ttl_s: 3600 };
const tenMinutes: Timer = { mode: 'after_read', ttl_s: 600 };

type Line = Partial<MessageView> & { text?: string; ago: number; left?: number };

/** `ago` and `left` in milliseconds. */
function lines(chat: number, from: number, list: Line[]): MessageView[] {
  const now = Date.now();
  return list.map(({ ago, left, ...part }, index) =>
    messageOf(from + index, {
      chat: idOf(chat),
      sent_at: new Date(now - ago).toISOString(),
      expires_at: left === undefined ? null : new Date(now + left).toISOString(),
      ...part,
    }),
  );
}

const me = { sender: 'me' as const, state: 'read' as const };

function maraLines(): MessageView[] {
  return lines(1, 100, [
    { ago: 22 * HOUR, left: 1.6 * HOUR, text: 'Good evening. I have the counsel’s answer on my desk and would rather not send it by mail.' },
    { ago: 21.9 * HOUR, left: 2.1 * HOUR, text: 'Can we settle the open points here?' },
    { ...me, ago: 21.8 * HOUR, left: 2.4 * HOUR, text: 'Gladly. Give me ten minutes to find the draft.' },
    { ago: 3.4 * HOUR, left: 20.6 * HOUR, kind: 'timer_changed', notice: dayAfterRead },
    { ago: 3.3 * HOUR, left: 20.7 * HOUR, text: 'Here is what they accept: the notice period as it stands, and the inventory by the end of the month. In return they want the clause on the archive out, all of it, including the second paragraph that nobody reads.' },
    { ago: 3.29 * HOUR, left: 20.8 * HOUR, text: 'The rest is as we agreed.' },
    { ...me, ago: 3 * HOUR, left: 21.6 * HOUR, text: 'Read it. Paragraph 4 still says ninety days, we agreed on sixty.', quote: { id: idOf(0xa000 + 105), sender: 'them', text: 'The rest is as we agreed.' }, is_edited: true },
    { ...me, ago: 2.99 * HOUR, left: 21.7 * HOUR, text: 'Everything else is fine.' },
    { ago: 0.6 * HOUR, left: 58 * 60_000, timer: hourAfterRead, text: 'You are right, that is the old page. I will have it changed tonight.', reactions: [{ emoji: '🙏', count: 1, is_mine: true }] },
    { ...me, ago: 0.2 * HOUR, left: 252_000, timer: tenMinutes, text: 'The code for the door is 4471, and the key lies with Jonas.' },
    { ago: 0.1 * HOUR, text: '👍', left: 23.9 * HOUR },
    { ...me, state: 'delivered', ago: 60_000, text: 'I sign at nine and call you right after.' },
    { ...me, state: 'sent', ago: 40_000, text: 'Is that early enough?', reactions: [{ emoji: '👍', count: 1, is_mine: false }] },
    { ...me, ago: 9000, left: 9400, timer: { mode: 'after_send', ttl_s: 100 }, text: 'Then we are done. Thank you, Mara.', state: 'read' },
  ]);
}

function others(): { chats: ChatView[]; messages: MessageView[] } {
  const family = lines(2, 300, [
    { ago: 2 * HOUR, left: 12 * HOUR, text: 'Who brings the cake on Sunday?' },
    { ago: 0.5 * HOUR, text: 'Photos from the lake tomorrow, the light was better than the camera.', state: 'unread' },
  ]);
  const doctor = lines(3, 400, [{ ago: 0.8 * HOUR, left: 0.35 * HOUR, timer: hourAfterRead, text: 'The values are back, nothing to worry about. Thursday at ten?' }]);
  const tomas = lines(4, 500, [{ ...me, state: 'waiting', ago: 26 * HOUR, text: 'I will be there by eight.', timer: { mode: 'after_read', ttl_s: null } }]);
  const lena = lines(5, 600, [{ ago: 50 * HOUR, kind: 'timer_proposed', notice: { mode: 'after_read', ttl_s: 604_800 } }]);
  const last = (messages: MessageView[]) => messages.at(-1) ?? null;
  return {
    messages: [...family, ...doctor, ...tomas, ...lena],
    chats: [
      chatOf(2, { name: 'Family Lindgren', hue: 30, unread: 4, muted_until: '2169-01-01T00:00:00Z', last: last(family) }),
      chatOf(3, { name: 'Dr. Lindqvist', hue: 250, pinned_at: new Date().toISOString(), last: last(doctor), timer: hourAfterRead }),
      chatOf(4, { name: 'Tomas Nowak', hue: 330, last: last(tomas), timer: { mode: 'after_read', ttl_s: null } }),
      chatOf(5, { name: 'Lena Costa-Albuquerque de Vasconcelos', hue: 200, unread: 1, last: last(lena), proposal: { timer: { mode: 'after_read', ttl_s: 604_800 }, is_ours: false } }),
      chatOf(6, { name: '', state: 'waiting', hue: 90, created_at: new Date(Date.now() - 80 * HOUR).toISOString() }),
    ],
  };
}

/** `full`: an evening; `empty`: a new profile; `first` and `locked`: before a profile is open; `long`: 2,000 messages;
 * `guarded`: with a passphrase; `waits`: after too many wrong ones. */
export function storyOf(name: string): FakeBackend {
  const backend = new FakeBackend();
  if (name === 'first') backend.state = 'none';
  if (name === 'locked' || name === 'waits') backend.state = 'locked';
  if (name === 'waits') backend.waitS = 272;
  if (name === 'guarded') {
    backend.security.has_passphrase = true;
    backend.profile.has_passphrase = true;
  }
  backend.passphrase = 'moth';
  if (name === 'empty' || name === 'first' || name === 'locked' || name === 'waits') {
    backend.status = { ...backend.status, relays_connected: 1, relays_known: 1 };
    return backend;
  }
  const rest = others();
  const mara = name === 'long' ? longLines() : maraLines();
  const chat = chatOf(1, { hue: 110, last: mara.at(-1) ?? null });
  backend.chats = [chat, ...rest.chats];
  backend.messages = [...mara, ...rest.messages];
  const dying = mara.find((message) => message.timer.ttl_s === 100);
  // The reaper of this story, so that a death can be watched.
  if (dying) setTimeout(() => backend.wipe(chat.id, [dying.id]), 9400);
  return backend;
}

function longLines(): MessageView[] {
  return lines(
    1,
    1000,
    Array.from({ length: 2000 }, (_, index) => ({
      ...(index % 3 === 0 ? me : {}),
      ago: (2000 - index) * 40_000,
      left: (index + 20) * 30_000,
      text: `Line ${index + 1}. ${'And some more words that make it longer. '.repeat(index % 5)}`.trim(),
      ...(index % 97 === 0 ? { timer: tenSeconds } : {}),
    })),
  );
}
