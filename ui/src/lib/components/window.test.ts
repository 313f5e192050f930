/** The window against a stand-in for the shell: what people see and do. */
import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { FakeBackend, chatOf, dayAfterRead, idOf, messageOf } from '../backend/fake';
import { sightObservers } from '../../test-setup';
import { FADE_MS, chats } from '../state/chats.svelte';
import { session } from '../state/session.svelte';

const chat = idOf(1);
let backend: FakeBackend;

function withMessages(...messages: ReturnType<typeof messageOf>[]): void {
  backend.messages = messages;
  backend.chats = [chatOf(1, { last: messages.at(-1) ?? null })];
}

/** Opens the app, and the first chat in it. */
async function openChat(): Promise<void> {
  render(App);
  await fireEvent.click(await screen.findByTestId('chat-row'));
  await screen.findByTestId('composer');
}

beforeEach(() => {
  backend = new FakeBackend().install();
  chats.reset();
  session.reset();
});

describe('the first start', () => {
  beforeEach(() => (backend.state = 'none'));

  it('creates a profile and shows the two ways to begin', async () => {
    const user = userEvent.setup();
    render(App);
    await user.type(await screen.findByTestId('first-start-name'), '  Ada ');
    await user.click(screen.getByTestId('first-start-create'));
    expect(await screen.findByText('Nobody is here yet')).toBeTruthy();
    expect(backend.callsOf('create_profile')).toEqual([{ name: 'Ada', passphrase: null }]);
    expect(screen.getByTestId('empty-invite').textContent).toBe('Invite someone');
    expect(screen.getByTestId('empty-accept').textContent).toBe('Open an invitation');
  });

  it('asks for a name', async () => {
    render(App);
    await fireEvent.click(await screen.findByTestId('first-start-create'));
    expect(screen.getByTestId('first-start-fault').textContent).toContain('Please write the name');
    expect(backend.callsOf('create_profile')).toEqual([]);
  });

  it('hands over a passphrase and keeps none in the field', async () => {
    backend.faults.set('create_profile', 'profile_exists');
    const user = userEvent.setup();
    render(App);
    await user.type(await screen.findByTestId('first-start-name'), 'Ada');
    const field = screen.getByTestId<HTMLInputElement>('first-start-passphrase');
    await user.type(field, 'moth');
    expect(screen.getByTestId('first-start-strength').textContent).toContain('Easy to guess');
    await user.click(screen.getByTestId('first-start-create'));
    expect(backend.callsOf('create_profile')).toEqual([{ name: 'Ada', passphrase: 'moth' }]);
    await waitFor(() => expect(field.value).toBe(''));
  });
});

describe('a chat that burns', () => {
  it('is switched on where its timer is set, and says so in its head', async () => {
    withMessages(messageOf(1));
    await openChat();
    expect(screen.queryByTestId('burns')).toBeNull();
    await fireEvent.click(screen.getByTestId('timer-chip'));
    await fireEvent.click(await screen.findByTestId('burn-on-lock'));
    await waitFor(() => expect(screen.getByTestId('burn-on-lock').getAttribute('aria-checked')).toBe('true'));
    expect(backend.callsOf('set_burn_on_lock')).toEqual([{ chat, burns: true }]);
    expect(screen.getByTestId('timer-chip').getAttribute('aria-label')).toContain('Burns with the lock');
    expect(screen.getByTestId('burns')).toBeTruthy();
  });
});

describe('unlocking', () => {
  it('says that a passphrase is wrong, and opens with the right one', async () => {
    backend.state = 'locked';
    backend.passphrase = 'moth';
    const user = userEvent.setup();
    render(App);
    const field = await screen.findByTestId<HTMLInputElement>('unlock-passphrase');
    await user.type(field, 'wasp{Enter}');
    await waitFor(() => expect(screen.getByTestId('unlock-fault').textContent).toContain('not the passphrase'));
    expect(field.value).toBe('');
    await user.type(field, 'moth{Enter}');
    expect(await screen.findByText('Nobody is here yet')).toBeTruthy();
  });

  it('says why a profile cannot be opened, and tries again', async () => {
    backend.faults.set('profile_state', 'profile_in_use');
    render(App);
    expect(await screen.findByText(/already open with this profile/)).toBeTruthy();
    await fireEvent.click(screen.getByText('Try again'));
    expect(await screen.findByText('Nobody is here yet')).toBeTruthy();
  });
});

describe('a dialog', () => {
  it('gives the focus back to what opened it', async () => {
    render(App);
    const opener = await screen.findByTestId('invite-open');
    opener.focus();
    await fireEvent.click(opener);
    const close = await screen.findByRole('button', { name: 'Close' });
    close.focus();
    await fireEvent.click(close);
    await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull());
    expect(document.activeElement).toBe(opener);
  });
});

describe('an invitation', () => {
  it('is shown as a link and as a code, and says when it reaches only this computer', async () => {
    render(App);
    await fireEvent.click(await screen.findByTestId('invite-open'));
    expect((await screen.findByTestId<HTMLInputElement>('invite-link')).value).toMatch(/^mayfly:/);
    expect(screen.getByRole('img', { name: 'The invitation link as a QR code' })).toBeTruthy();
    expect(screen.getByText('Works only on this computer; for others, add a relay.')).toBeTruthy();
  });

  it('is made anew when a relay was added', async () => {
    const user = userEvent.setup();
    render(App);
    await user.click(await screen.findByTestId('invite-open'));
    await user.click(await screen.findByText('Add a relay'));
    await user.type(screen.getByTestId('relay-address'), 'relay.example{Enter}');
    expect(await screen.findByText(/not the address of a relay/)).toBeTruthy();
    await user.clear(screen.getByTestId('relay-address'));
    await user.type(screen.getByTestId('relay-address'), 'wss://relay.example{Enter}');
    await waitFor(() => expect(backend.callsOf('create_invitation')).toHaveLength(2));
    expect(backend.callsOf('set_relays')).toEqual([{ relays: ['ws://127.0.0.1:7420', 'wss://relay.example'] }]);
  });

  it('opens, whole again after it was broken into lines', async () => {
    const user = userEvent.setup();
    render(App);
    await user.click(await screen.findByTestId('accept-open'));
    await fireEvent.input(screen.getByTestId('accept-link'), { target: { value: ' mayfly:abc\n def ' } });
    await user.click(screen.getByTestId('accept-submit'));
    expect(await screen.findByTestId('composer')).toBeTruthy();
    expect(backend.callsOf('accept_invitation')).toEqual([{ link: 'mayfly:abcdef' }]);
    expect(screen.queryByRole('dialog')).toBeNull();
  });

  it.each([
    ['invitation_expired', 'Ask for a new one'],
    ['invitation_invalid', 'paste it again'],
    ['invitation_own', 'Send it to the person'],
    ['a_code_of_tomorrow', 'The backend said so.'],
  ])('says what to do about %s', async (code, sentence) => {
    backend.faults.set('accept_invitation', code);
    render(App);
    await fireEvent.click(await screen.findByTestId('accept-open'));
    await fireEvent.input(screen.getByTestId('accept-link'), { target: { value: 'mayfly:abc' } });
    await fireEvent.click(screen.getByTestId('accept-submit'));
    await waitFor(() => expect(screen.getByTestId('accept-fault').textContent).toContain(sentence));
  });

  it('is refused without a call when it is none', async () => {
    render(App);
    await fireEvent.click(await screen.findByTestId('accept-open'));
    await fireEvent.input(screen.getByTestId('accept-link'), { target: { value: 'https://example.org' } });
    await fireEvent.click(screen.getByTestId('accept-submit'));
    expect(screen.getByTestId('accept-fault').textContent).toContain('not a whole Mayfly invitation');
    expect(backend.callsOf('accept_invitation')).toEqual([]);
  });
});

describe('the composer', () => {
  beforeEach(() => withMessages(messageOf(1)));

  it('sends with Enter, and begins a line with Shift and Enter', async () => {
    const user = userEvent.setup();
    await openChat();
    const composer = screen.getByTestId<HTMLTextAreaElement>('composer');
    await user.type(composer, 'One{Shift>}{Enter}{/Shift}two{Enter}');
    await waitFor(() => expect(backend.callsOf('send_message')).toEqual([{ chat, text: 'One\ntwo', timer: null, replyTo: null }]));
    expect(composer.value).toBe('');
    expect(await screen.findByText(/One\s+two/, { selector: '.words' })).toBeTruthy();
  });

  it('sends nothing that is empty', async () => {
    const user = userEvent.setup();
    await openChat();
    await user.type(screen.getByTestId('composer'), '  {Enter}');
    expect(backend.callsOf('send_message')).toEqual([]);
    expect(screen.getByTestId<HTMLButtonElement>('send').disabled).toBe(true);
  });

  it('gives the words back when they could not be sent', async () => {
    backend.faults.set('send_message', 'relay_required');
    const user = userEvent.setup();
    await openChat();
    const composer = screen.getByTestId<HTMLTextAreaElement>('composer');
    await user.type(composer, 'Precious{Enter}');
    expect((await screen.findByTestId('send-fault')).textContent).toContain('no relay');
    expect(composer.value).toBe('Precious');
  });

  it('sends with a shorter timer of its own', async () => {
    const user = userEvent.setup();
    await openChat();
    await user.click(screen.getByTestId('message-timer'));
    expect(screen.queryByTestId('timer-option-604800')).toBeNull();
    await user.click(screen.getByTestId('timer-option-30'));
    await user.click(screen.getByTestId('timer-mode-after_send'));
    await user.click(screen.getByTestId('timer-apply'));
    await waitFor(() => expect(screen.getByTestId('message-timer').textContent.trim()).toBe('30 s'));
    await user.type(screen.getByTestId('composer'), 'Soon gone{Enter}');
    await waitFor(() =>
      expect(backend.callsOf('send_message')).toEqual([{ chat, text: 'Soon gone', timer: { mode: 'after_send', ttl_s: 30 }, replyTo: null }]),
    );
  });
});

describe('the timer picker', () => {
  beforeEach(() => withMessages(messageOf(1)));

  it('sets a shorter timer at once', async () => {
    const user = userEvent.setup();
    await openChat();
    expect(screen.getByTestId('timer-chip').textContent).toContain('1 day after read');
    await user.click(screen.getByTestId('timer-chip'));
    await user.click(screen.getByTestId('timer-option-3600'));
    expect(screen.getByTestId('timer-apply').textContent).toBe('Set the timer');
    await user.click(screen.getByTestId('timer-apply'));
    await waitFor(() => expect(screen.getByTestId('timer-chip').textContent).toContain('1 h after read'));
    expect(backend.callsOf('set_timer')).toEqual([{ chat, timer: { mode: 'after_read', ttl_s: 3600 } }]);
  });

  it('proposes a longer one, and shows that it waits', async () => {
    const user = userEvent.setup();
    await openChat();
    await user.click(screen.getByTestId('timer-chip'));
    await user.click(screen.getByTestId('timer-option-off'));
    expect(screen.getByTestId('timer-apply').textContent).toBe('Propose a change');
    await user.click(screen.getByTestId('timer-apply'));
    expect((await screen.findByTestId('proposal')).textContent).toContain('has not answered yet');
    expect(screen.getByTestId('timer-chip').textContent).toContain('1 day after read');
  });

  it('takes any custom time from 1 second to 365 days', async () => {
    const user = userEvent.setup();
    await openChat();
    await user.click(screen.getByTestId('timer-chip'));
    await user.click(screen.getByTestId('timer-mode-after_send'));
    await user.click(screen.getByTestId('timer-option-custom'));
    const amount = screen.getByTestId('timer-custom-value');
    await user.clear(amount);
    await user.click(screen.getByTestId('timer-apply'));
    expect((await screen.findByRole('alert')).textContent).toContain('365 days');
    await user.type(amount, '366');
    await user.selectOptions(screen.getByTestId('timer-custom-unit'), 'days');
    await user.click(screen.getByTestId('timer-apply'));
    expect(backend.callsOf('set_timer')).toEqual([]);
    await user.clear(amount);
    await user.type(amount, '10');
    await user.selectOptions(screen.getByTestId('timer-custom-unit'), 's');
    await user.click(screen.getByTestId('timer-apply'));
    await waitFor(() => expect(backend.callsOf('set_timer')).toEqual([{ chat, timer: { mode: 'after_send', ttl_s: 10 } }]));
  });

  it('answers what the other side proposed', async () => {
    backend.chats = [chatOf(1, { proposal: { timer: { mode: 'after_read', ttl_s: 604_800 }, is_ours: false } })];
    const user = userEvent.setup();
    await openChat();
    await user.click(screen.getByTestId('proposal-accept'));
    await waitFor(() => expect(screen.queryByTestId('proposal')).toBeNull());
    expect(backend.callsOf('answer_timer')).toEqual([{ chat, accept: true }]);
    expect(screen.getByTestId('timer-chip').textContent).toContain('1 week after read');
  });
});

describe('a death', () => {
  const moment = Date.parse('2026-03-03T15:00:00Z');
  const dying = messageOf(2, {
    text: 'Only a breath',
    timer: { mode: 'after_send', ttl_s: 10 },
    expires_at: new Date(moment + 10_000).toISOString(),
  });

  beforeEach(() => {
    vi.useFakeTimers({ now: moment });
    withMessages(messageOf(1, { text: 'It stays', timer: { ...dayAfterRead, ttl_s: null } }), dying);
  });
  afterEach(() => vi.useRealTimers());

  async function openAtOnce(): Promise<void> {
    render(App);
    await vi.advanceTimersByTimeAsync(10);
    await fireEvent.click(screen.getByTestId('chat-row'));
    await vi.advanceTimersByTimeAsync(10);
  }

  it('is the backend’s to decide: at its deadline a message says 0 s and stays', async () => {
    await openAtOnce();
    await vi.advanceTimersByTimeAsync(1000);
    expect(screen.getByTestId('countdown').textContent.trim()).toBe('9 s');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(screen.getByTestId('countdown').textContent.trim()).toBe('0 s');
    expect(screen.getAllByText(/Only a breath/).length).toBeGreaterThan(0);
  });

  it('takes the words out of the document at once, and the shell after its fading', async () => {
    await openAtOnce();
    expect(document.body.innerHTML.match(/Only a breath/g)).toHaveLength(2);
    backend.wipe(chat, [dying.id]);
    await vi.advanceTimersByTimeAsync(0);
    expect(document.body.innerHTML).not.toContain('Only a breath');
    const shell = document.querySelector<HTMLElement>(`[data-id="${dying.id}"]`);
    expect(shell?.dataset.state).toBe('wiped');
    await vi.advanceTimersByTimeAsync(FADE_MS);
    expect(document.querySelector(`[data-id="${dying.id}"]`)).toBeNull();
    expect(screen.getAllByText(/It stays/).length).toBeGreaterThan(0);
  });

  it('has no fading without motion', async () => {
    vi.spyOn(window, 'matchMedia').mockReturnValue({ matches: true } as MediaQueryList);
    await openAtOnce();
    backend.wipe(chat, [dying.id]);
    await vi.advanceTimersByTimeAsync(0);
    expect(document.querySelector(`[data-id="${dying.id}"]`)).toBeNull();
  });

  it('is final, whatever arrives late', async () => {
    await openAtOnce();
    backend.wipe(chat, [dying.id]);
    backend.tell({ event: 'message_changed', message: dying });
    backend.tell({ event: 'message_received', message: dying });
    backend.chats = [chatOf(1, { last: dying })];
    await vi.advanceTimersByTimeAsync(1000);
    expect(document.body.innerHTML).not.toContain('Only a breath');
  });

  it('leaves nothing in what a screen reader is told', async () => {
    await openAtOnce();
    backend.tell({ event: 'message_received', message: messageOf(3, { text: 'Whispered' }) });
    await vi.advanceTimersByTimeAsync(100);
    const region = screen.getByRole('status');
    expect(region.textContent).toBe('New message from Mara Keller');
  });
});

describe('reading', () => {
  const unread = messageOf(2, { state: 'unread', text: 'Read me' });

  beforeEach(() => {
    vi.useFakeTimers({ now: Date.parse('2026-03-03T15:00:00Z') });
    withMessages(messageOf(1), unread);
  });
  afterEach(() => vi.useRealTimers());

  async function openWithFocus(hasFocus: boolean): Promise<void> {
    vi.spyOn(document, 'hasFocus').mockReturnValue(hasFocus);
    render(App);
    await vi.advanceTimersByTimeAsync(10);
    await fireEvent.click(screen.getByTestId('chat-row'));
    await vi.advanceTimersByTimeAsync(10);
    for (const observer of sightObservers) observer.show(true);
  }

  it('is told after one second in sight, with the focus', async () => {
    await openWithFocus(true);
    await vi.advanceTimersByTimeAsync(2000);
    expect(backend.callsOf('mark_read')).toEqual([{ chat, ids: [unread.id] }]);
  });

  it('is not told without the focus, and is when it comes', async () => {
    await openWithFocus(false);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(backend.callsOf('mark_read')).toEqual([]);
    vi.spyOn(document, 'hasFocus').mockReturnValue(true);
    window.dispatchEvent(new window.Event('focus'));
    await vi.advanceTimersByTimeAsync(2000);
    expect(backend.callsOf('mark_read')).toHaveLength(1);
  });

  it('is not told while a dialog covers the conversation', async () => {
    await openWithFocus(true);
    await fireEvent.click(screen.getByTestId('timer-chip'));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(backend.callsOf('mark_read')).toEqual([]);
  });
});

describe('the list', () => {
  it('shows the last message, the unread count and the connection', async () => {
    backend.chats = [chatOf(1, { unread: 3, last: messageOf(1, { text: 'Are you there?' }) }), chatOf(2, { name: 'Tomas' })];
    backend.status = { ...backend.status, connection: 'offline', waiting: 2 };
    render(App);
    const row = (await screen.findAllByTestId('chat-row'))[0];
    expect(within(row as HTMLElement).getByTestId('unread').textContent).toContain('3 unread messages');
    expect(row?.textContent).toContain('Are you there?');
    await waitFor(() => expect(screen.getByTestId('connection').textContent).toContain('Offline, trying again · 2 waiting'));
    backend.tell({ event: 'status_changed', status: { ...backend.status, connection: 'connected', relays_connected: 1 } });
    await waitFor(() => expect(screen.getByTestId('connection').textContent).toContain('Connected to 1 relay'));
  });

  it('keeps what an event said while a list was on its way', async () => {
    withMessages(messageOf(1));
    await openChat();
    let give: (value: unknown) => void = () => undefined;
    const answer = backend.answer.bind(backend);
    vi.spyOn(backend, 'answer').mockImplementation((command, args) =>
      command === 'chats' ? new Promise((resolve) => (give = resolve)) : answer(command, args),
    );
    const asked = chats.refresh();
    backend.tell({ event: 'message_received', message: messageOf(2, { text: 'In between' }) });
    give(backend.chats);
    await asked;
    expect(chats.log.entries.map((entry) => entry.message?.text)).toContain('In between');
  });

  it('asks for everything again when events were lost', async () => {
    withMessages(messageOf(1, { text: 'Lost and gone' }));
    await openChat();
    backend.messages = [messageOf(2, { text: 'Here now' })];
    backend.chats = [chatOf(1, { last: backend.messages[0] ?? null })];
    backend.tell({ event: 'resync' });
    await waitFor(() => expect(screen.getAllByText(/Here now/).length).toBe(2));
    expect(document.body.innerHTML).not.toContain('Lost and gone');
  });
});
