/** Every command of the shell, one function each. The only door to the backend besides `events.ts`. */
import type { Arrangement } from './bindings/Arrangement';
import type { ChatView } from './bindings/ChatView';
import type { InvitationView } from './bindings/InvitationView';
import type { MessageView } from './bindings/MessageView';
import type { ProfileView } from './bindings/ProfileView';
import type { SecurityView } from './bindings/SecurityView';
import type { StatusView } from './bindings/StatusView';
import type { Timer } from './bindings/Timer';
import * as bridge from './bridge';
import { BackendError } from './error';

/** Whether there is a profile on this device, and whether its passphrase has been given. */
export type ProfileState = { state: 'none' | 'locked' | 'open' };

/** What opens the profile, and whether this login tells when it is locked or put to sleep. */
export type Security = SecurityView & { locks_with_session: boolean };

async function call<T>(command: string, args: Record<string, unknown> = {}): Promise<T> {
  try {
    return (await bridge.call(command, args)) as T;
  } catch (cause) {
    throw BackendError.from(cause);
  }
}

export const profileState = () => call<ProfileState>('profile_state');

export const createProfile = (name: string, passphrase: string | null) =>
  call<ProfileView>('create_profile', { name, passphrase });

export const unlock = (passphrase: string | null) => call<ProfileView>('unlock', { passphrase });

export const profile = () => call<ProfileView>('profile');

/** Somebody is at it: the time after which the profile locks begins anew. */
export const active = () => call<null>('active');

/** Has the page begin anew in a process of its own, and with it this chat open. */
export const rest = (chat: string | null) => call<null>('rest', { chat });

/** The chat that the page before had open, once. */
export const resume = () => call<string | null>('resume');

/** Locks the profile. The page begins anew. */
export const lock = () => call<null>('lock');

/** Destroys the profile with everything in it, at once and for good. The page begins anew. */
export const panic = () => call<null>('panic');

export const security = () => call<Security>('security');

export const setPassphrase = (passphrase: string) => call<Security>('set_passphrase', { passphrase });

export const changePassphrase = (old: string, passphrase: string) =>
  call<Security>('change_passphrase', { old, passphrase });

export const removePassphrase = (old: string) => call<Security>('remove_passphrase', { old });

/** `duress` null takes it away. */
export const setDuress = (passphrase: string, duress: string | null) =>
  call<Security>('set_duress', { passphrase, duress });

export const useKeyring = (isUsed: boolean) => call<Security>('use_keyring', { isUsed });

export const useTpm = (isUsed: boolean) => call<Security>('use_tpm', { isUsed });

/** `failures` null is never. */
export const setEraseAfter = (failures: number | null) => call<Security>('set_erase_after', { failures });

/** `seconds` null is never. */
export const setLockAfter = (seconds: number | null) => call<Security>('set_lock_after', { seconds });

export const setRelays = (relays: string[]) => call<ProfileView>('set_relays', { relays });

export const createInvitation = () => call<InvitationView>('create_invitation');

export const acceptInvitation = (link: string) => call<ChatView>('accept_invitation', { link });

export const chats = () => call<ChatView[]>('chats');

/** One page of a chat, oldest first, of messages whose order lies below `before` (null: the newest page). */
export const messages = (chat: string, before: number | null, limit: number) =>
  call<MessageView[]>('messages', { chat, before, limit });

/** `timer` null takes the chat's own. */
export const sendMessage = (chat: string, text: string, timer: Timer | null, replyTo: string | null) =>
  call<MessageView>('send_message', { chat, text, timer, replyTo });

/** Keeps what was begun to be written, sealed; empty words are forgotten. */
export const setDraft = (chat: string, text: string, replyTo: string | null) =>
  call<null>('set_draft', { chat, text, replyTo });

/** `emoji` empty takes ours away. */
export const react = (chat: string, id: string, emoji: string) => call<MessageView>('react', { chat, id, emoji });

export const editMessage = (chat: string, id: string, text: string) =>
  call<MessageView>('edit_message', { chat, id, text });

export const deleteForEveryone = (chat: string, id: string) => call<null>('delete_for_everyone', { chat, id });

export const arrange = (chat: string, arrangement: Arrangement) => call<ChatView>('arrange', { chat, arrangement });

export const markRead = (chat: string, ids: string[]) => call<null>('mark_read', { chat, ids });

export const setTimer = (chat: string, timer: Timer) => call<ChatView>('set_timer', { chat, timer });

export const answerTimer = (chat: string, accept: boolean) => call<ChatView>('answer_timer', { chat, accept });

/** What is said in a chat from now on burns here with the lock, or stays. */
export const setBurnOnLock = (chat: string, burns: boolean) => call<ChatView>('set_burn_on_lock', { chat, burns });

export const wipeMessage = (chat: string, id: string) => call<null>('wipe_message', { chat, id });

export const status = () => call<StatusView>('status');
