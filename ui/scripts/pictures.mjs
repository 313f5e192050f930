// Pictures of the window with an invented conversation: `node scripts/pictures.mjs DIR [CHROMIUM]`.
// A development aid; needs a Chromium or Chrome that is already there.
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { createServer } from 'vite';

const [out, given] = process.argv.slice(2);
const browsers = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = given ?? browsers.find((candidate) => existsSync(candidate));
if (!out || !executablePath) {
  console.error('Say where the pictures go, and have Chromium or Chrome installed.');
  process.exit(2);
}
mkdirSync(out, { recursive: true });

const sizes = [
  [1360, 860],
  [900, 700],
  [640, 800],
];
/** The smallest that the window gets. */
const narrow = [420, 560];
/** Each is a story, what to do before the picture is taken, and which sizes it is worth. */
const scenes = [
  { name: 'full', story: 'full', sizes, act: openFirst },
  { name: 'list', story: 'full', sizes: sizes.slice(2) },
  { name: 'empty', story: 'empty', sizes },
  { name: 'first', story: 'first', sizes: [sizes[0], sizes[2]] },
  { name: 'locked', story: 'locked', sizes: [sizes[1], narrow] },
  { name: 'invite', story: 'empty', sizes: [sizes[0], sizes[2]], act: (page) => page.getByTestId('invite-open').click() },
  { name: 'accept', story: 'empty', sizes: [sizes[1]], act: acceptBadly },
  { name: 'timer', story: 'full', sizes: [sizes[0], sizes[2]], act: openTimer },
  { name: 'own-timer', story: 'full', sizes: [sizes[1]], act: openOwnTimer },
  { name: 'proposal', story: 'full', sizes: [sizes[0], sizes[2]], act: (page) => page.getByTestId('chat-row').nth(4).click() },
  { name: 'waiting', story: 'full', sizes: [sizes[1]], act: (page) => page.getByTestId('chat-row').nth(5).click() },
  { name: 'relays', story: 'full', sizes: [sizes[1]], act: (page) => page.getByTestId('connection').click() },
  { name: 'security', story: 'guarded', sizes: [sizes[0], sizes[2]], act: openSecurity },
  { name: 'passphrase', story: 'guarded', sizes: [sizes[1]], act: openPassphrase },
  { name: 'to-lock', story: 'full', sizes: [sizes[1], narrow], act: (page) => page.getByTestId('lock-button').click() },
  { name: 'destroy', story: 'guarded', sizes: [sizes[1], narrow], act: openDestroy },
  { name: 'panic', story: 'guarded', sizes: [sizes[1], narrow], act: panicOnce },
  { name: 'waits', story: 'waits', sizes: [sizes[1], narrow], act: unlockBadly },
  { name: 'menu', story: 'full', sizes: [sizes[0], narrow], act: openMessageMenu },
  { name: 'emoji', story: 'full', sizes: [sizes[1]], act: openEmoji },
  { name: 'reply', story: 'full', sizes: [sizes[0], sizes[2]], act: reply },
  { name: 'delete', story: 'full', sizes: [sizes[1]], act: askDelete },
  { name: 'chat-menu', story: 'full', sizes: [sizes[1]], act: openChatMenu },
  { name: 'blocked', story: 'full', sizes: [sizes[1], narrow], act: block },
  { name: 'long', story: 'long', sizes: [sizes[1]], act: scrollBack },
];

async function openFirst(page) {
  await page.getByTestId('chat-row').nth(1).click();
}

async function openMessageMenu(page) {
  await page.getByTestId('chat-row').nth(1).click();
  const row = page.getByTestId('message').nth(-3);
  await row.hover();
  await row.getByTestId('message-more').click();
}

async function openEmoji(page) {
  await page.getByTestId('chat-row').nth(1).click();
  await page.getByTestId('emoji-open').click();
}

async function reply(page) {
  await openMessageMenu(page);
  await page.getByTestId('menu-reply').click();
  await page.getByTestId('composer').fill('Nine is fine.');
}

async function askDelete(page) {
  await openMessageMenu(page);
  await page.getByTestId('menu-delete').click();
}

async function openChatMenu(page) {
  await page.getByTestId('chat-row').nth(1).click();
  await page.getByTestId('chat-more').click();
}

async function block(page) {
  await openChatMenu(page);
  await page.getByTestId('menu-block').click();
}

async function openSecurity(page) {
  await page.getByTestId('security-open').click();
  await page.getByTestId('security-lock').waitFor();
}

async function openPassphrase(page) {
  await openSecurity(page);
  await page.getByTestId('security-passphrase-change').click();
  await page.getByTestId('security-passphrase-fresh').fill('kettle mirror');
}

async function openDestroy(page) {
  await openSecurity(page);
  await page.getByTestId('security-destroy').click();
  await page.getByTestId('security-destroy-word').fill('destroy');
  await page.getByTestId('security-destroy-confirm').scrollIntoViewIfNeeded();
}

async function panicOnce(page) {
  await openFirst(page);
  await page.keyboard.press('Control+Shift+Backspace');
}

async function unlockBadly(page) {
  await page.getByTestId('unlock-passphrase').fill('wasp');
  await page.getByTestId('unlock-submit').click();
}

async function acceptBadly(page) {
  await page.getByTestId('accept-open').click();
  await page.getByTestId('accept-link').fill('https://example.org');
  await page.getByTestId('accept-submit').click();
}

async function openTimer(page) {
  await openFirst(page);
  await page.getByTestId('timer-chip').click();
  await page.getByTestId('timer-option-604800').click();
}

async function openOwnTimer(page) {
  await openFirst(page);
  await page.getByTestId('message-timer').click();
  await page.getByTestId('timer-option-custom').click();
  await page.getByTestId('timer-apply').click();
  await page.getByTestId('composer').fill('One line\nand another one');
  await page.getByTestId('message-timer').click();
}

async function scrollBack(page) {
  await openFirst(page);
  await page.waitForTimeout(300);
  await page.getByRole('list', { name: 'Messages' }).hover();
  for (let i = 0; i < 8; i += 1) {
    await page.mouse.wheel(0, -700);
    await page.waitForTimeout(60);
  }
}

const server = await createServer({ mode: 'harness', logLevel: 'error', server: { port: 0, strictPort: false } });
await server.listen();
const base = server.resolvedUrls?.local[0] ?? '';
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--headless', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let troubles = 0;
const only = process.env.SCENES?.split(',');
for (const scene of scenes.filter(({ name }) => !only || only.includes(name))) {
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of scene.sizes) {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme, locale: 'en-GB' });
      page.on('pageerror', (error) => {
        troubles += 1;
        console.error(`${scene.name}: ${error.message}`);
      });
      await page.goto(`${base}harness.html?story=${scene.story}`);
      await page.waitForSelector('#app > *');
      await page.evaluate(() => document.fonts.ready);
      await scene.act?.(page);
      await page.waitForTimeout(350);
      await page.screenshot({ path: path.join(out, `${scene.name}-${colorScheme}-${width}.png`) });
      await page.close();
    }
  }
}
await browser.close();
await server.close();
process.exit(troubles === 0 ? 0 : 1);
