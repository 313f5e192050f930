/** Locking, security and the end of a profile, against a stand-in for the shell. */
import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import * as commands from '../backend/commands';
import { BackendError } from '../backend/error';
import { FakeBackend, chatOf, messageOf } from '../backend/fake';
import { chats } from '../state/chats.svelte';
import { dialogs } from '../state/dialogs.svelte';
import { security } from '../state/security.svelte';
import { session } from '../state/session.svelte';
import { errorSentence } from '../text';

const canary = 'larch under the stairs';
let backend: FakeBackend;

/** A window on a chat with a canary in it, of a profile with the passphrase "moth". */
async function openWindow(): Promise<void> {
  backend.security.has_passphrase = true;
  backend.profile.has_passphrase = true;
  backend.passphrase = 'moth';
  const message = messageOf(1, { text: canary });
  backend.messages = [message];
  backend.chats = [chatOf(1, { last: message })];
  render(App);
  await fireEvent.click(await screen.findByTestId('chat-row'));
  await waitFor(() => expect(document.body.outerHTML).toContain(canary));
}

const press = (key: string, more: KeyboardEventInit = {}) => fireEvent.keyDown(document.activeElement ?? document.body, { key, ctrlKey: true, ...more });
const pressPanic = () => press('Backspace', { shiftKey: true });

beforeEach(() => {
  backend = new FakeBackend().install();
  chats.reset();
  security.reset();
  session.reset();
});

afterEach(() => void vi.useRealTimers());

describe('locking', () => {
  it('by its button leaves nothing of the profile in the window', async () => {
    await openWindow();
    await fireEvent.click(screen.getByTestId('lock-button'));
    expect(await screen.findByTestId('unlock-passphrase')).toBeTruthy();
    for (const words of [canary, 'Mara Keller', 'Ada']) expect(document.documentElement.outerHTML).not.toContain(words);
    expect(chats.list).toEqual([]);
  });

  it('by its key works inside a dialog, and the passphrase brings the chats back', async () => {
    await openWindow();
    await fireEvent.click(screen.getByTestId('invite-open'));
    await press('l');
    const field = await screen.findByTestId('unlock-passphrase');
    await userEvent.type(field, 'moth{Enter}');
    expect(await screen.findByTestId('chat-row')).toBeTruthy();
    expect(dialogs.open).toBe(0);
  });

  it.each(['its button', 'its key'])('by %s without a passphrase leads to where one is set', async (by) => {
    render(App);
    const button = await screen.findByTestId('lock-button');
    await (by === 'its key' ? press('l') : fireEvent.click(button));
    expect((await screen.findByTestId('security-to-lock')).textContent).toContain('set a passphrase first');
    expect(document.activeElement).toBe(screen.getByTestId('security-passphrase-fresh'));
    expect(session.stage).toBe('open');
  });

  it.each([
    ['L', 'KeyL', true],
    ['д', 'KeyL', true],
    ['l', 'KeyP', true],
    ['n', 'KeyL', false],
  ])('has its key at %s of %s: %s', async (key, code, isLock) => {
    await openWindow();
    await press(key, { code });
    await new Promise((resolve) => setTimeout(resolve));
    expect(backend.callsOf('lock')).toHaveLength(isLock ? 1 : 0);
  });

  it('lets nothing in that was on its way', async () => {
    await openWindow();
    await userEvent.type(screen.getByTestId('composer'), 'a draft of moss');
    const late: (() => void)[] = [];
    const answer = backend.answer.bind(backend);
    vi.spyOn(backend, 'answer').mockImplementation((command, args) => {
      if (!['chats', 'status', 'messages', 'send_message', 'set_relays', 'security'].includes(command)) return answer(command, args);
      return new Promise((resolve, reject) => {
        // What was sent fails late, and its words must not be a draft again.
        late.push(() => (command === 'send_message' ? reject(new Error('closed')) : resolve(answer(command, args))));
      });
    });
    const asked = [
      chats.refresh(),
      chats.loadOlder(),
      chats.send(chatOf(1), 'a draft of moss'),
      session.refreshStatus(),
      session.setRelays(['wss://relay.example']),
      security.change(() => commands.security()),
    ];
    const told = backend.heard;
    await fireEvent.click(screen.getByTestId('lock-button'));
    await screen.findByTestId('unlock-passphrase');
    for (const give of late) give();
    await Promise.allSettled(asked);
    told?.({ event: 'message_received', message: messageOf(2, { text: canary }) });
    expect(late.length).toBeGreaterThanOrEqual(5);
    expect([chats.list, chats.log.entries, [...chats.drafts], chats.arrival]).toEqual([[], [], [], null]);
    expect([session.profile, session.status, security.view]).toEqual([null, null, null]);
  });

  it('that fails leaves nothing in the window either, and shows how things stand', async () => {
    await openWindow();
    backend.faults.set('lock', 'disk_full');
    backend.state = 'locked';
    await fireEvent.click(screen.getByTestId('lock-button'));
    expect(await screen.findByTestId('unlock-passphrase')).toBeTruthy();
    expect(document.documentElement.outerHTML).not.toContain(canary);
  });

  it('counts down after too many wrong passphrases and then gives the field back', async () => {
    backend.state = 'locked';
    backend.passphrase = 'moth';
    backend.waitS = 65;
    render(App);
    const field = await screen.findByTestId<HTMLInputElement>('unlock-passphrase');
    vi.useFakeTimers();
    await fireEvent.input(field, { target: { value: 'wasp' } });
    await fireEvent.submit(field.closest('form') ?? field);
    await vi.advanceTimersByTimeAsync(10);
    expect(field.disabled).toBe(true);
    expect(screen.getByTestId('unlock-wait').textContent).toContain('1:05');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(screen.getByTestId('unlock-wait').textContent).toContain('55 s');
    // A screen reader is told once, not each second.
    expect(screen.getByTestId('unlock-said').textContent).toContain('1:05');
    expect(screen.getByTestId('unlock-wait').getAttribute('aria-hidden')).toBe('true');
    backend.waitS = 0;
    await vi.advanceTimersByTimeAsync(56_000);
    expect(screen.queryByTestId('unlock-wait')).toBeNull();
    expect(screen.getByTestId('unlock-said').textContent).toContain('try again now');
    expect([field.disabled, document.activeElement]).toEqual([false, field]);
  });

  it('tells of a profile that was destroyed, and lets a new one begin', async () => {
    backend.state = 'locked';
    backend.faults.set('unlock', 'profile_destroyed');
    render(App);
    await userEvent.type(await screen.findByTestId('unlock-passphrase'), 'wasp{Enter}');
    const begin = await screen.findByTestId('begin-anew');
    expect(document.body.textContent).toContain('This profile is destroyed');
    backend.state = 'none';
    await fireEvent.click(begin);
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
  });
});

describe('somebody who is at it', () => {
  it('is told at most once in five seconds, and not while the window is hidden', async () => {
    await openWindow();
    backend.calls = [];
    const now = vi.spyOn(performance, 'now');
    const touchAt = async (moment: number) => {
      now.mockReturnValue(moment);
      await fireEvent.pointerDown(document.body);
      return backend.callsOf('active').length;
    };
    expect(await touchAt(100_000)).toBe(1);
    expect(await touchAt(104_000)).toBe(1);
    expect(await touchAt(105_000)).toBe(2);
    Object.defineProperty(document, 'hidden', { configurable: true, value: true });
    expect(await touchAt(200_000)).toBe(2);
    Object.defineProperty(document, 'hidden', { configurable: true, value: false });
    now.mockRestore();
  });
});

describe('the panic', () => {
  it('takes two presses', async () => {
    await openWindow();
    await pressPanic();
    expect(await screen.findByTestId('panic-warning')).toBeTruthy();
    expect(backend.callsOf('panic')).toEqual([]);
    await pressPanic();
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
    expect(backend.callsOf('panic')).toEqual([{}]);
    expect(document.documentElement.outerHTML).not.toContain(canary);
  });

  it('is given up by Escape, by waiting, and by a key that is only held down', async () => {
    await openWindow();
    await pressPanic();
    await press('Backspace', { shiftKey: true, repeat: true });
    await press('Escape', { ctrlKey: false });
    await waitFor(() => expect(screen.queryByTestId('panic-warning')).toBeNull());
    vi.useFakeTimers();
    await pressPanic();
    await vi.advanceTimersByTimeAsync(3_100);
    await pressPanic();
    expect(backend.callsOf('panic')).toEqual([]);
  });

  it('reaches through any dialog, and gives the focus back when it is given up', async () => {
    await openWindow();
    await fireEvent.click(screen.getByTestId('security-open'));
    await fireEvent.click(await screen.findByTestId('security-destroy'));
    const field = screen.getByTestId('security-destroy-word');
    field.focus();
    await pressPanic();
    const warning = await screen.findByTestId('panic-warning');
    expect(warning.getAttribute('role')).toBe('alertdialog');
    // As a browser does; happy-dom leaves the focus where it is.
    warning.focus();
    await press('Escape', { ctrlKey: false });
    await waitFor(() => expect(screen.queryByTestId('panic-warning')).toBeNull());
    expect(document.activeElement).toBe(field);
    await pressPanic();
    await pressPanic();
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
    expect([dialogs.open, backend.callsOf('panic')]).toEqual([0, [{}]]);
  });

  it('that fails says so, shows nothing of the profile, and can be tried again', async () => {
    await openWindow();
    backend.faults.set('panic', 'read_only');
    await pressPanic();
    await pressPanic();
    const again = await screen.findByTestId('panic-again');
    expect(document.body.textContent).toContain('could not be destroyed');
    expect(document.body.textContent).toContain('cannot be written');
    expect(document.documentElement.outerHTML).not.toContain(canary);
    await fireEvent.click(again);
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
  });

  it('works on a profile that could not be opened, and asks nothing where there is none', async () => {
    backend.faults.set('profile_state', 'keyring_empty');
    render(App);
    await screen.findByText(/does not hold the share/);
    await pressPanic();
    await pressPanic();
    await screen.findByTestId('first-start-name');
    await pressPanic();
    await pressPanic();
    expect(screen.queryByTestId('panic-warning')).toBeNull();
    expect(backend.callsOf('panic')).toEqual([{}]);
  });

  it('works on a locked window, too', async () => {
    backend.state = 'locked';
    render(App);
    await screen.findByTestId('unlock-passphrase');
    await pressPanic();
    await pressPanic();
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
  });
});

describe('security', () => {
  async function openSecurity(): Promise<void> {
    await openWindow();
    await fireEvent.click(screen.getByTestId('security-open'));
    await screen.findByTestId('security-passphrase-change');
  }

  async function fill(values: Record<string, string>): Promise<void> {
    for (const [key, value] of Object.entries(values)) {
      await fireEvent.input(screen.getByTestId(`security-${key}`), { target: { value } });
    }
  }

  it('sets a first passphrase once both are the same, and then the window can be locked', async () => {
    render(App);
    await fireEvent.click(await screen.findByTestId('security-open'));
    await fireEvent.click(await screen.findByTestId('security-passphrase-set'));
    await fill({ 'passphrase-fresh': 'kettle mirror orbit', 'passphrase-again': 'kettle mirror' });
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    expect(screen.getByTestId('security-passphrase-fault').textContent).toContain('not the same');
    await fill({ 'passphrase-again': 'kettle mirror orbit' });
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    await waitFor(() => expect(backend.callsOf('set_passphrase')).toEqual([{ passphrase: 'kettle mirror orbit' }]));
    expect(await screen.findByText('The passphrase is set.')).toBeTruthy();
    expect(screen.queryByTestId('security-passphrase-fresh')).toBeNull();
    expect(document.activeElement).toBe(screen.getByTestId('security-passphrase-change'));
    await press('l');
    expect(await screen.findByTestId('unlock-passphrase')).toBeTruthy();
  });

  it('changes it, says that the present one is wrong, and keeps none in its fields', async () => {
    await openSecurity();
    await fireEvent.click(screen.getByTestId('security-passphrase-change'));
    const values = { 'passphrase-present': 'wasp', 'passphrase-fresh': 'new moth', 'passphrase-again': 'new moth' };
    await fill(values);
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    await waitFor(() => expect(screen.getByTestId('security-passphrase-fault').textContent).toContain('not the passphrase'));
    for (const key of Object.keys(values)) expect(screen.getByTestId<HTMLInputElement>(`security-${key}`).value).toBe('');
    await fill({ ...values, 'passphrase-present': 'moth' });
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    await waitFor(() => expect(backend.passphrase).toBe('new moth'));
  });

  it('removes the passphrase, and the one for an emergency', async () => {
    await openSecurity();
    await fireEvent.click(screen.getByTestId('security-duress-remove'));
    await fill({ 'duress-present': 'moth' });
    await fireEvent.click(screen.getByTestId('security-duress-save'));
    await screen.findByText(/no passphrase for an emergency/);
    await fireEvent.click(screen.getByTestId('security-passphrase-remove'));
    await fill({ 'passphrase-present': 'moth' });
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    await screen.findByText('The passphrase is removed.');
    expect(backend.callsOf('set_duress')).toEqual([{ passphrase: 'moth', duress: null }]);
    expect(backend.callsOf('remove_passphrase')).toEqual([{ old: 'moth' }]);
    for (const name of ['lock', 'erase', 'duress-set']) {
      expect(screen.getByTestId<HTMLButtonElement>(`security-${name}`).disabled).toBe(true);
    }
  });

  it('asks for each of the others what it says', async () => {
    await openSecurity();
    await fireEvent.change(screen.getByTestId('security-lock'), { target: { value: '3600' } });
    await fireEvent.change(screen.getByTestId('security-erase'), { target: { value: '10' } });
    await fireEvent.click(screen.getByTestId('security-keyring'));
    await fireEvent.click(screen.getByTestId('security-tpm'));
    await fireEvent.click(screen.getByTestId('security-duress-set'));
    await fill({ 'duress-present': 'moth', 'duress-fresh': 'help', 'duress-again': 'help' });
    await fireEvent.click(screen.getByTestId('security-duress-save'));
    await waitFor(() => expect(backend.callsOf('set_duress')).toEqual([{ passphrase: 'moth', duress: 'help' }]));
    expect(backend.callsOf('set_lock_after')).toEqual([{ seconds: 3600 }]);
    expect(backend.callsOf('set_erase_after')).toEqual([{ failures: 10 }]);
    await fireEvent.change(screen.getByTestId('security-lock'), { target: { value: '' } });
    await waitFor(() => expect(backend.callsOf('set_lock_after')).toEqual([{ seconds: 3600 }, { seconds: null }]));
    expect(backend.callsOf('use_keyring')).toEqual([{ isUsed: true }]);
    expect(backend.callsOf('use_tpm')).toEqual([{ isUsed: true }]);
    expect(screen.getByTestId('security-keyring').getAttribute('aria-checked')).toBe('true');
  });

  it('says in its place what could not be done', async () => {
    await openSecurity();
    backend.faults.set('use_keyring', 'keyring_locked');
    await fireEvent.click(screen.getByTestId('security-keyring'));
    expect((await screen.findByText(/keyring of this login is locked/)).closest('section')?.textContent).toContain('Tie to the keyring');
    expect(screen.getByTestId('security-keyring').getAttribute('aria-checked')).toBe('false');
  });

  it('shows what holds, not what was asked for, while that could not be done', async () => {
    await openSecurity();
    backend.faults.set('set_erase_after', 'disk_full');
    const select = screen.getByTestId<HTMLSelectElement>('security-erase');
    await fireEvent.change(select, { target: { value: '5' } });
    await screen.findByText(/disk is full/);
    expect(select.value).toBe('');
  });

  it('says how long to wait after too many wrong passphrases', async () => {
    await openSecurity();
    vi.spyOn(backend, 'answer').mockImplementation(() => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw { code: 'too_many_attempts', message: '', wait_s: 90 };
    });
    await fireEvent.click(screen.getByTestId('security-passphrase-remove'));
    await fill({ 'passphrase-present': 'wasp' });
    await fireEvent.click(screen.getByTestId('security-passphrase-save'));
    await waitFor(() => expect(screen.getByTestId('security-passphrase-fault').textContent).toContain('Try again in 1 min 30 s.'));
  });

  it.each([
    'passphrase_wrong', 'passphrase_unset', 'passphrase_set', 'locked', 'too_many_attempts', 'profile_destroyed', 'duress_is_passphrase',
    'keyring_locked', 'keyring_unavailable', 'keyring_empty', 'tpm_unavailable', 'rolled_back', 'lock_after_invalid',
  ])('has a sentence of its own for %s', (code) => {
    expect(errorSentence(new BackendError(code, 'The backend said so.'))).toMatch(/^[A-Z].*\.$/);
    expect(errorSentence(new BackendError(code, 'The backend said so.'))).not.toBe('The backend said so.');
  });

  it('destroys the profile only once the word is typed', async () => {
    await openSecurity();
    await fireEvent.click(screen.getByTestId('security-destroy'));
    expect(screen.getByTestId<HTMLButtonElement>('security-destroy-confirm').disabled).toBe(true);
    await userEvent.type(screen.getByTestId('security-destroy-word'), 'destroy{Enter}');
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
    expect(backend.callsOf('panic')).toEqual([{}]);
  });
});
