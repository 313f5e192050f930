/** Whether a profile is open, and how it stands with its relays. */
import type { ProfileView } from '../backend/bindings/ProfileView';
import type { StatusView } from '../backend/bindings/StatusView';
import * as commands from '../backend/commands';
import { BackendError } from '../backend/error';

/** Where the window is on its way to the chats. */
export type Stage = 'starting' | 'none' | 'locked' | 'open' | 'failed';

export class Session {
  stage = $state<Stage>('starting');
  profile = $state.raw<ProfileView | null>(null);
  status = $state.raw<StatusView | null>(null);
  /** Why the profile could not be opened. */
  failure = $state.raw<BackendError | null>(null);

  /** Forgets everything, as a window does that closes. */
  reset(): void {
    this.stage = 'starting';
    this.profile = null;
    this.status = null;
    this.failure = null;
  }

  /** Asks the backend how things stand, and opens what needs no passphrase. */
  async start(): Promise<void> {
    this.stage = 'starting';
    this.failure = null;
    try {
      const { state } = await commands.profileState();
      if (state === 'open') await this.#enter(await commands.profile());
      else this.stage = state;
    } catch (cause) {
      this.failure = BackendError.from(cause);
      this.stage = 'failed';
    }
  }

  /** Throws a `BackendError` that the form shows. */
  async create(name: string, passphrase: string): Promise<void> {
    await this.#enter(await commands.createProfile(name.trim(), passphrase === '' ? null : passphrase));
  }

  /** Throws a `BackendError` that the form shows. */
  async unlock(passphrase: string): Promise<void> {
    await this.#enter(await commands.unlock(passphrase));
  }

  /** Throws a `BackendError` that the form shows. */
  async setRelays(relays: string[]): Promise<void> {
    this.profile = await commands.setRelays(relays);
  }

  /** Asks again for the connection; events keep it current afterwards. */
  async refreshStatus(): Promise<void> {
    this.status = await commands.status();
  }

  async #enter(profile: ProfileView): Promise<void> {
    this.profile = profile;
    this.stage = 'open';
    await this.refreshStatus().catch(() => undefined);
  }
}

export const session = new Session();
