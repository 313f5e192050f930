/** What follows a message, in the window: answers, signs, other words, its end; and how chats are arranged. */
import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';
import App from '../../App.svelte';
import { FakeBackend, chatOf, idOf, messageOf } from '../backend/fake';
import { chats } from '../state/chats.svelte';
import { session } from '../state/session.svelte';

const chat = idOf(1);
const now = () => new Date().toISOString();
let backend: FakeBackend;

async function openChat(...messages: ReturnType<typeof messageOf>[]): Promise<void> {
  backend.messages = messages;
  backend.chats = [chatOf(1, { last: messages.at(-1) ?? null })];
  render(App);
  await fireEvent.click(await screen.findByTestId('chat-row'));
  await waitFor(() => expect(screen.getAllByTestId('message')).toHaveLength(messages.length));
}

const row = (id: string) => document.querySelector<HTMLElement>(`[data-testid="message"][data-id="${id}"]`);

/** Opens the menu of a message with the keyboard, as Enter does. */
async function openMenu(id: string): Promise<void> {
  const element = row(id);
  element?.focus();
  await fireEvent.keyDown(element as HTMLElement, { key: 'Enter' });
  await screen.findByTestId('menu');
}

beforeEach(() => {
  backend = new FakeBackend().install();
  chats.reset();
  session.reset();
});

describe('an answer', () => {
  it('names the message it answers, and loses the quote with it', async () => {
    const source = messageOf(1, { text: 'Where shall we meet?' });
    await openChat(source);
    await openMenu(source.id);
    await fireEvent.click(screen.getByTestId('menu-reply'));
    expect(screen.getByTestId('about').textContent).toContain('Reply to Mara Keller');
    const user = userEvent.setup();
    await user.type(screen.getByTestId('composer'), 'At the lake{Enter}');
    await waitFor(() => expect(backend.callsOf('send_message')[0]).toMatchObject({ text: 'At the lake', replyTo: source.id }));
    expect((await screen.findByTestId('quote')).textContent).toContain('Where shall we meet?');
    expect(screen.queryByTestId('about')).toBeNull();
    backend.wipe(chat, [source.id]);
    await waitFor(() => expect(screen.queryByTestId('quote')).toBeNull());
    expect(document.body.textContent).not.toContain('Where shall we meet?');
    expect(document.body.textContent).toContain('At the lake');
  });

  it('is left with Escape, and when what it answers dies', async () => {
    const [first, second] = [messageOf(1), messageOf(2)];
    await openChat(first, second);
    await openMenu(first.id);
    await fireEvent.click(screen.getByTestId('menu-reply'));
    await fireEvent.keyDown(screen.getByTestId('composer'), { key: 'Escape' });
    await waitFor(() => expect(screen.queryByTestId('about')).toBeNull());
    await openMenu(second.id);
    await fireEvent.click(screen.getByTestId('menu-reply'));
    expect(screen.getByTestId('about').textContent).toContain('Words 2');
    backend.wipe(chat, [second.id]);
    await waitFor(() => expect(screen.queryByTestId('about')).toBeNull());
  });
});

describe('a sign under a message', () => {
  it('is set from the menu and taken back with a second click', async () => {
    const message = messageOf(1);
    await openChat(message);
    await openMenu(message.id);
    await fireEvent.click(screen.getAllByTestId('quick-reaction')[0] as HTMLElement);
    const sign = await screen.findByTestId('reaction');
    expect(sign.getAttribute('aria-pressed')).toBe('true');
    await fireEvent.click(sign);
    await waitFor(() => expect(screen.queryByTestId('reaction')).toBeNull());
    expect(backend.callsOf('react').map(({ emoji }) => emoji)).toEqual(['👍', '']);
  });
});

describe('other words', () => {
  it('take the place of the last message of ours with the arrow up, and the draft waits', async () => {
    const mine = messageOf(1, { sender: 'me', text: 'Tuseday at nine', sent_at: now(), state: 'sent' });
    await openChat(mine, messageOf(2));
    const user = userEvent.setup();
    const area = screen.getByTestId<HTMLTextAreaElement>('composer');
    await user.click(area);
    await user.keyboard('{ArrowUp}');
    await waitFor(() => expect(area.value).toBe('Tuseday at nine'));
    await user.clear(area);
    await user.type(area, 'Tuesday at nine{Enter}');
    await waitFor(() => expect(backend.callsOf('edit_message')).toEqual([{ chat, id: mine.id, text: 'Tuesday at nine' }]));
    expect(await screen.findByTestId('edited')).toBeTruthy();
    await waitFor(() => expect(area.value).toBe(''));
  });

  it('die in the field with the message they are for', async () => {
    const mine = messageOf(1, { sender: 'me', text: 'Secret words', sent_at: now(), state: 'sent' });
    await openChat(mine, messageOf(2));
    const area = screen.getByTestId<HTMLTextAreaElement>('composer');
    await openMenu(mine.id);
    await fireEvent.click(screen.getByTestId('menu-edit'));
    await waitFor(() => expect(area.value).toBe('Secret words'));
    backend.wipe(chat, [mine.id]);
    await waitFor(() => expect(area.value).toBe(''));
  });

  it('are not offered for messages of others, nor after a day', async () => {
    const theirs = messageOf(1);
    const old = messageOf(2, { sender: 'me', sent_at: new Date(Date.now() - 86_400_000).toISOString() });
    await openChat(theirs, old);
    for (const { id } of [theirs, old]) {
      await openMenu(id);
      expect(screen.queryByTestId('menu-edit')).toBeNull();
      await fireEvent(screen.getByTestId('menu'), new Event('cancel'));
    }
  });
});

describe('the end of a message by hand', () => {
  it('is asked for once, for everyone where it is ours', async () => {
    const mine = messageOf(1, { sender: 'me', sent_at: now() });
    await openChat(mine, messageOf(2));
    await openMenu(mine.id);
    await fireEvent.click(screen.getByTestId('menu-delete'));
    expect(backend.callsOf('delete_for_everyone')).toEqual([]);
    await fireEvent.click(await screen.findByTestId('delete-for-everyone'));
    await waitFor(() => expect(backend.callsOf('delete_for_everyone')).toEqual([{ chat, id: mine.id }]));
    await waitFor(() => expect(screen.queryByTestId('delete-for-everyone')).toBeNull());
  });

  it('is for oneself alone where it is theirs', async () => {
    const theirs = messageOf(1);
    await openChat(theirs);
    await openMenu(theirs.id);
    await fireEvent.click(screen.getByTestId('menu-delete'));
    await fireEvent.click(await screen.findByTestId('delete-for-me'));
    expect(screen.queryByTestId('delete-for-everyone')).toBeNull();
    await waitFor(() => expect(backend.callsOf('wipe_message')).toEqual([{ chat, id: theirs.id }]));
  });

  it('closes a menu and a question about a message that dies meanwhile', async () => {
    const message = messageOf(1);
    await openChat(message, messageOf(2));
    await openMenu(message.id);
    backend.wipe(chat, [message.id]);
    await waitFor(() => expect(screen.queryByTestId('menu')).toBeNull());
  });
});

describe('the menu', () => {
  it('is gone through with arrows', async () => {
    const message = messageOf(1, { sender: 'me', sent_at: now() });
    await openChat(message);
    await openMenu(message.id);
    const items = within(screen.getByTestId('menu')).getAllByRole('menuitem');
    expect(document.activeElement).toBe(items[0]);
    const user = userEvent.setup();
    await user.keyboard('{ArrowDown}');
    expect(document.activeElement).toBe(items[1]);
    await user.keyboard('{End}{ArrowDown}');
    expect(document.activeElement).toBe(items[0]);
  });
});

describe('a draft', () => {
  it('is kept a second after the last key, and is in the field again at the next start', async () => {
    await openChat(messageOf(1));
    const user = userEvent.setup();
    await user.type(screen.getByTestId('composer'), 'Half a sen');
    expect(backend.callsOf('set_draft')).toEqual([]);
    await waitFor(() => expect(backend.callsOf('set_draft')).toEqual([{ chat, text: 'Half a sen', replyTo: null }]), { timeout: 3_000 });
    chats.reset();
    await chats.connect();
    expect(chats.drafts.get(chat)).toBe('Half a sen');
  });

  it('dies in the field when the backend says so', async () => {
    await openChat(messageOf(1));
    const area = screen.getByTestId<HTMLTextAreaElement>('composer');
    await userEvent.setup().type(area, 'Soon gone');
    backend.tell({ event: 'draft_wiped', chat });
    await waitFor(() => expect(area.value).toBe(''));
  });

  it('is the one that waits while a message is edited, never the words of that', async () => {
    const mine = messageOf(1, { sender: 'me', text: 'As it was', sent_at: now(), state: 'sent' });
    await openChat(mine);
    await userEvent.setup().type(screen.getByTestId('composer'), 'Waiting words');
    await openMenu(mine.id);
    await fireEvent.click(screen.getByTestId('menu-edit'));
    await chats.saveDrafts();
    expect(backend.callsOf('set_draft').every(({ text }) => text === 'Waiting words')).toBe(true);
  });
});

describe('a chat', () => {
  async function arrange(testid: string): Promise<void> {
    await fireEvent.click(screen.getByTestId('chat-more'));
    await fireEvent.click(await screen.findByTestId(testid));
  }

  it('is pinned above the others', async () => {
    await openChat(messageOf(1));
    await arrange('menu-pin');
    expect(await screen.findByTestId('pinned')).toBeTruthy();
    expect(backend.callsOf('arrange')).toEqual([{ chat, arrangement: { what: 'pinned', value: true } }]);
  });

  it('is put away behind a filter of its own', async () => {
    await openChat(messageOf(1));
    expect(screen.queryByTestId('filter-archived')).toBeNull();
    await arrange('menu-archive');
    await waitFor(() => expect(screen.queryByTestId('chat-row')).toBeNull());
    await fireEvent.click(await screen.findByTestId('filter-archived'));
    expect(await screen.findByTestId('chat-row')).toBeTruthy();
  });

  it('that is blocked has a way back in the place of the composer', async () => {
    await openChat(messageOf(1));
    await arrange('menu-block');
    await screen.findByTestId('blocked');
    expect(screen.queryByTestId('composer')).toBeNull();
    await fireEvent.click(screen.getByTestId('unblock'));
    expect(await screen.findByTestId('composer')).toBeTruthy();
  });
});
