/** What the shell answers when a command fails: a stable code, and one plain sentence. */
export class BackendError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'BackendError';
    this.code = code;
  }

  /** Whatever came out of a failed call, as a `BackendError`; what has no code becomes `unknown`. */
  static from(cause: unknown): BackendError {
    if (cause instanceof BackendError) return cause;
    if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string') {
      const message = 'message' in cause && typeof cause.message === 'string' ? cause.message : '';
      return new BackendError(cause.code, message);
    }
    return new BackendError('unknown', '');
  }
}
