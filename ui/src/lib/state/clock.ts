/**
 * The one scheduler of everything that shows time running out. A follower is asked only when what it shows
 * becomes another (a pixel, a digit), and nobody is asked while the window is hidden. There is no endless
 * animation: a few of those cost a whole core where the graphics are software.
 */

/** Shows the moment `now`, and answers when it would look different; null when it never will again. */
export type Follower = (now: number) => number | null;

/** The longest sleep, so that a machine whose clock was set or that was suspended is noticed. */
const LONGEST_SLEEP_MS = 30_000;
/** Changes closer together than this are shown together. */
const FRAME_MS = 16;

export class Clock {
  #followers = new Map<Follower, number | null>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;

  /** Shows `follower` the present, and again at each of its changes. The answer ends that. */
  follow(follower: Follower): () => void {
    this.#followers.set(follower, follower(Date.now()));
    this.#sleep();
    return () => {
      this.#followers.delete(follower);
      if (this.#followers.size === 0) this.#stop();
    };
  }

  /** Follows the page's visibility until the answer is called. */
  attach(page: Document = document): () => void {
    const turn = () => (page.visibilityState === 'hidden' ? this.#stop() : this.#showAll());
    page.addEventListener('visibilitychange', turn);
    return () => {
      page.removeEventListener('visibilitychange', turn);
      this.#stop();
    };
  }

  #showAll(): void {
    const now = Date.now();
    for (const follower of [...this.#followers.keys()]) this.#followers.set(follower, follower(now));
    this.#sleep();
  }

  #wake(): void {
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    const now = Date.now();
    for (const [follower, changesAt] of [...this.#followers]) {
      if (changesAt !== null && changesAt <= now && this.#followers.has(follower)) {
        this.#followers.set(follower, follower(now));
      }
    }
    this.#sleep();
  }

  #sleep(): void {
    if (document.visibilityState === 'hidden') return;
    const now = Date.now();
    let next = Number.POSITIVE_INFINITY;
    for (const changesAt of this.#followers.values()) if (changesAt !== null && changesAt < next) next = changesAt;
    if (next === Number.POSITIVE_INFINITY) {
      this.#stop();
      return;
    }
    const wakesAt = Math.min(Math.max(next, now + FRAME_MS), now + LONGEST_SLEEP_MS);
    // The sleep that is under way ends early enough.
    if (this.#timer !== undefined && this.#wakesAt <= wakesAt) return;
    this.#stop();
    this.#wakesAt = wakesAt;
    this.#timer = setTimeout(() => this.#wake(), wakesAt - now);
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
  }
}

/** The window's clock. */
export const clock = new Clock();
