/** The page's end of the bridge, against the program's end as docs/bridge.md has it. */
import { clearMocks, mockIPC } from '@tauri-apps/api/mocks';
import { afterEach, expect, it } from 'vitest';
import { SealedTransport } from './bridge';

const curve = { name: 'ECDH', namedCurve: 'P-256' };
const utf8 = new TextEncoder();
const subtle = crypto.subtle;

class Program {
  crossed: Uint8Array[] = [];
  #keys: { toProgram: CryptoKey; toPage: CryptoKey } | undefined;

  async answer(command: string, body: Uint8Array): Promise<ArrayBuffer> {
    this.crossed.push(body);
    return command === 'greet' ? this.#greet(body) : this.#call(body);
  }

  async #greet(page: Uint8Array): Promise<ArrayBuffer> {
    const own = await subtle.generateKey(curve, false, ['deriveBits']);
    const program = new Uint8Array(await subtle.exportKey('raw', own.publicKey));
    const theirs = await subtle.importKey('raw', new Uint8Array(page), curve, false, []);
    const secret = await subtle.deriveBits({ name: 'ECDH', public: theirs }, own.privateKey, 256);
    const root = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
    const key = (label: string, usage: KeyUsage) => {
      const info = new Uint8Array([...utf8.encode(label), ...page, ...program]);
      const hkdf = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info };
      return subtle.deriveKey(hkdf, root, { name: 'AES-GCM', length: 256 }, false, [usage]);
    };
    this.#keys = {
      toProgram: await key('mayfly/v1/bridge to program', 'decrypt'),
      toPage: await key('mayfly/v1/bridge to page', 'encrypt'),
    };
    return program.buffer;
  }

  async #call(sealed: Uint8Array): Promise<ArrayBuffer> {
    if (!this.#keys) throw new Error('Nobody has greeted.');
    const opened = await subtle.decrypt({ name: 'AES-GCM', iv: sealed.slice(0, 12) }, this.#keys.toProgram, sealed.slice(12));
    const { command, args } = JSON.parse(new TextDecoder().decode(opened)) as { command: string; args: unknown };
    const answer = command === 'fail' ? { error: { code: 'locked', message: '' } } : { ok: { command, args } };
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const body = new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv }, this.#keys.toPage, utf8.encode(JSON.stringify(answer))));
    const crossing = new Uint8Array([...iv, ...body]);
    this.crossed.push(crossing);
    return crossing.buffer;
  }
}

afterEach(clearMocks);

it('carries commands and answers, and nothing of them crosses in clear', async () => {
  const program = new Program();
  mockIPC((command, body) => program.answer(command, body as unknown as Uint8Array));
  const transport = new SealedTransport();
  const args = { text: 'larch under the stairs' };
  expect(await transport.call('send_message', args)).toEqual({ command: 'send_message', args });
  await expect(transport.call('fail', {})).rejects.toEqual({ code: 'locked', message: '' });
  const crossed = program.crossed.map((bytes) => new TextDecoder().decode(bytes)).join('');
  // The control: a greeting and two calls went through here.
  expect(program.crossed).toHaveLength(5);
  for (const words of ['larch', 'send_message', 'locked']) expect(crossed).not.toContain(words);
});
