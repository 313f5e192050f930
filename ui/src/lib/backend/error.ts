/** What the shell answers when a command fails: a stable code, and one plain sentence. */
export class BackendError extends Error {
  readonly code: string;
  /** Seconds to wait before trying again, where that is the reason. */
  readonly waitS: number | null;

  constructor(code: string, message: string, waitS: number | null = null) {
    super(message);
    this.name = 'BackendError';
    this.code = code;
    this.waitS = waitS;
  }

  /** Whatever came out of a failed call, as a `BackendError`; what has no code becomes `unknown`. */
  static from(cause: unknown): BackendError {
    if (cause instanceof BackendError) return cause;
    if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string') {
      const message = 'message' in cause && typeof cause.message === 'string' ? cause.message : '';
      const waitS = 'wait_s' in cause && typeof cause.wait_s === 'number' ? cause.wait_s : null;
      return new BackendError(cause.code, message, waitS);
    }
    return new BackendError('unknown', '');
  }
}
