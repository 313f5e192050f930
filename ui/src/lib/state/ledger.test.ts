import { describe, expect, it } from 'vitest';
import { chatOf, idOf, messageOf } from '../backend/fake';
import { applyEvent, emptyLedger, forgotten, isGap, withChats, withLog, withPage, withoutGaps, withoutShells, type Ledger } from './ledger';

const chat = idOf(1);
const entriesOf = (ledger: Ledger) => ledger.logs.get(chat)?.entries ?? [];
const orders = (ledger: Ledger) => entriesOf(ledger).map((entry) => entry.order);
const idsOf = (...numbers: number[]) => numbers.map((number) => messageOf(number).id);
const closed = (ledger: Ledger, ...numbers: number[]) => withoutShells(wiped(ledger, ...numbers), chat, idsOf(...numbers));
const received = (ledger: Ledger, number: number) => applyEvent(ledger, { event: 'message_received', message: messageOf(number) });
const wiped = (ledger: Ledger, ...numbers: number[]) =>
  applyEvent(ledger, { event: 'messages_wiped', chat, ids: numbers.map((number) => messageOf(number).id) });

function opened(...numbers: number[]): Ledger {
  const ledger = withLog(withChats(emptyLedger, [chatOf(1, { last: messageOf(Math.max(...numbers)) })]), chat);
  return withPage(ledger, chat, numbers.map((number) => messageOf(number)), 50);
}

describe('the ledger', () => {
  it('keeps messages in their order, however they arrive', () => {
    let ledger = opened(1, 2);
    for (const number of [5, 3, 4]) ledger = received(ledger, number);
    expect(orders(ledger)).toEqual([1, 2, 3, 4, 5]);
  });

  it('takes an event twice as once', () => {
    const ledger = received(received(opened(1), 2), 2);
    expect(orders(ledger)).toEqual([1, 2]);
  });

  it('replaces a message by what it has become', () => {
    const changed = messageOf(2, { state: 'read' });
    const ledger = applyEvent(opened(1, 2), { event: 'message_changed', message: changed });
    expect(ledger.logs.get(chat)?.entries[1]?.message?.state).toBe('read');
    expect(ledger.chats.get(chat)?.last?.state).toBe('read');
  });

  it('leaves an empty shell of what was wiped, and then nothing', () => {
    const ledger = wiped(opened(1, 2, 3), 2);
    const { id, sent_at } = messageOf(2);
    expect(entriesOf(ledger)[1]).toEqual({ id, order: 2, isNotice: false, message: null, sentAt: sent_at });
    expect(JSON.stringify([...ledger.logs.values(), ...ledger.chats.values()])).not.toContain('Words 2');
    const after = withoutShells(ledger, chat, [id]);
    expect(entriesOf(after).map(isGap)).toEqual([false, true, false]);
    expect(orders(withoutGaps(after, chat))).toEqual([1, 3]);
  });

  it('keeps no gap at its ends, and takes one end at a time', () => {
    const five = opened(1, 2, 3, 4, 5);
    expect(orders(closed(five, 1, 2))).toEqual([3, 4, 5]);
    expect(orders(closed(five, 5))).toEqual([1, 2, 3, 4]);
    const middle = closed(five, 2);
    expect(orders(middle)).toEqual([1, 2, 3, 4, 5]);
    expect(orders(closed(middle, 1))).toEqual([3, 4, 5]);
    const both = closed(five, 1, 5);
    expect(orders(both)).toEqual([1, 2, 3, 4]);
    expect(orders(closed(both, 2))).toEqual([3, 4]);
    expect(orders(closed(five, 1, 2, 3, 4, 5))).toEqual([]);
  });

  it('does not carry gaps without end', () => {
    const numbers = Array.from({ length: 400 }, (_, index) => index + 1);
    const dead = numbers.filter((number) => number % 2 === 0 && number < 400);
    expect(orders(closed(opened(...numbers), ...dead.slice(0, 200)))).toHaveLength(400);
    expect(orders(closed(closed(opened(...numbers), ...dead.slice(0, 199)), ...dead.slice(199)))).toHaveLength(400);
    const more = [...dead, 3, 5];
    expect(orders(closed(opened(...numbers), ...more))).toHaveLength(400 - more.length);
  });

  it('does not take a living message for a shell', () => {
    const ledger = withoutShells(opened(1, 2), chat, [messageOf(1).id]);
    expect(orders(ledger)).toEqual([1, 2]);
  });

  it('never brings back what was wiped, by a late event', () => {
    const ledger = closed(opened(1, 2), 2);
    expect(orders(received(ledger, 2))).toEqual([1]);
    expect(orders(applyEvent(ledger, { event: 'message_changed', message: messageOf(2) }))).toEqual([1]);
    expect(orders(applyEvent(ledger, { event: 'message_queued', message: messageOf(2) }))).toEqual([1]);
  });

  it('never brings back what was wiped, by a late page', () => {
    const ledger = withPage(wiped(withLog(emptyLedger, chat), 2), chat, [messageOf(1), messageOf(2)], 50);
    expect(orders(ledger)).toEqual([1]);
  });

  it('never shows what was wiped before it was received', () => {
    expect(orders(received(wiped(opened(1), 7), 7))).toEqual([1]);
  });

  it('never fills a gap again', () => {
    const gap = closed(opened(1, 2, 3), 2);
    const late = withPage(received(gap, 2), chat, [messageOf(2)], 50);
    expect(entriesOf(late)[1]?.message).toBeNull();
    expect(orders(late)).toEqual([1, 2, 3]);
  });

  it('never brings back what was wiped, after everything was asked for again', () => {
    const ledger = withPage(withLog(forgotten(wiped(opened(1, 2), 2)), chat), chat, [messageOf(1), messageOf(2)], 50);
    expect(orders(ledger)).toEqual([1]);
  });

  it('shows the newest living message in the list when the last one is wiped', () => {
    expect(wiped(opened(1, 2, 3), 3).chats.get(chat)?.last?.order).toBe(2);
    expect(wiped(opened(1), 1).chats.get(chat)?.last).toBeNull();
  });

  it('does not show a wiped message in a list that was on its way', () => {
    const ledger = withChats(wiped(opened(1, 2), 2), [chatOf(1, { last: messageOf(2) })]);
    expect(ledger.chats.get(chat)?.last?.order).toBe(1);
    const told = applyEvent(ledger, { event: 'chat_changed', chat: chatOf(1, { last: messageOf(2) }) });
    expect(told.chats.get(chat)?.last?.order).toBe(1);
  });

  it('moves the last message forward only', () => {
    expect(received(opened(1, 5), 3).chats.get(chat)?.last?.order).toBe(5);
    expect(received(opened(1, 5), 6).chats.get(chat)?.last?.order).toBe(6);
  });

  it('prefers what an event said to a page that was on its way', () => {
    const told = applyEvent(withLog(emptyLedger, chat), { event: 'message_changed', message: messageOf(2, { state: 'read' }) });
    const ledger = withPage(told, chat, [messageOf(1), messageOf(2, { state: 'sent' })], 50);
    expect(ledger.logs.get(chat)?.entries.map((entry) => entry.message?.state)).toEqual(['seen', 'read']);
  });

  it('tears no gap: a message older than the loaded part waits for its page', () => {
    const page = Array.from({ length: 3 }, (_, index) => messageOf(10 + index));
    const ledger = withPage(withLog(emptyLedger, chat), chat, page, 3);
    expect(orders(received(ledger, 4))).toEqual([10, 11, 12]);
    const whole = withPage(ledger, chat, [messageOf(4)], 3);
    expect(whole.logs.get(chat)?.isComplete).toBe(true);
    expect(orders(whole)).toEqual([4, 10, 11, 12]);
  });
});
