/** Locking, security and the end of a profile, against a stand-in for the shell. */
import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import App from '../../App.svelte';
import { FakeBackend, chatOf, messageOf } from '../backend/fake';
import { chats } from '../state/chats.svelte';
import { dialogs } from '../state/dialogs.svelte';
import { security } from '../state/security.svelte';
import { session } from '../state/session.svelte';

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
  dialogs.isSecurityOpen = false;
  // happy-dom shows no popovers.
  HTMLElement.prototype.showPopover = () => undefined;
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

  it('without a passphrase leads to where one is set', async () => {
    render(App);
    await screen.findByTestId('security-open');
    expect(screen.queryByTestId('lock-button')).toBeNull();
    await press('l');
    expect(await screen.findByTestId('security-passphrase-set')).toBeTruthy();
    expect(backend.callsOf('lock')).toEqual([]);
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
    expect(screen.getByTestId('unlock-fault').textContent).toContain('1:05');
    backend.waitS = 0;
    await vi.advanceTimersByTimeAsync(56_000);
    expect(screen.queryByTestId('unlock-wait')).toBeNull();
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
    expect(await screen.findByTestId('lock-button')).toBeTruthy();
    expect(screen.queryByTestId('security-passphrase-fresh')).toBeNull();
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

  it('destroys the profile only once the word is typed', async () => {
    await openSecurity();
    await fireEvent.click(screen.getByTestId('security-destroy'));
    expect(screen.getByTestId<HTMLButtonElement>('security-destroy-confirm').disabled).toBe(true);
    await userEvent.type(screen.getByTestId('security-destroy-word'), 'destroy{Enter}');
    expect(await screen.findByTestId('first-start-name')).toBeTruthy();
    expect(backend.callsOf('panic')).toEqual([{}]);
  });
});
