/**
 * Lets the answers of the backend in only while whoever asked still wants them. A window that is locked forgets at once;
 * what was on its way by then must not come back into it.
 */
export class Answers {
  #life = 0;

  /** Whatever has been asked for until now comes to nothing. */
  end(): void {
    this.#life += 1;
  }

  /** Whether what is asked for now still counts, to be called later. */
  begin(): () => boolean {
    const life = this.#life;
    return () => life === this.#life;
  }

  /** Waits for an answer and takes it in, if it still counts. Says whether it did. */
  async take<T>(asked: Promise<T>, takeIn: (answer: T) => void): Promise<boolean> {
    const counts = this.begin();
    const answer = await asked;
    if (!counts()) return false;
    takeIn(answer);
    return true;
  }
}
