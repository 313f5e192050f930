// The database that Signal's desktop app keeps its messages in, doing the vault's work: reads one JSON request a line and
// answers each with one line. All times are measured here, so that the pipe between us is in none of them.
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import Database from '@signalapp/sqlcipher';

let db;

function timed(work) {
  const [cpu, start] = [process.cpuUsage(), performance.now()];
  const result = work();
  const ms = performance.now() - start;
  const used = process.cpuUsage(cpu);
  return { ms, cpu_ms: (used.user + used.system) / 1_000, ...result };
}

function connect({ path, setup }) {
  db = new Database(path, { cacheStatements: true });
  db.exec(setup);
}

// One transaction, one message for each due second given. With `mark` each body begins with its own number.
function insert({ sql, chat, due, body, mark, first = 0 }) {
  const chat_id = Buffer.from(chat, 'hex');
  const text = Buffer.from(body);
  const rows = due.map((second, index) => {
    const bytes = mark ? marked(text, mark, first + index) : text;
    return [randomBytes(16), chat_id, second, bytes];
  });
  const statement = db.prepare(sql);
  const all = db.transaction(() => rows.forEach((row) => statement.run(row)));
  return timed(all);
}

function marked(text, mark, number) {
  const bytes = Buffer.from(text);
  bytes.write(mark + String(number).padStart(8, '0'));
  return bytes;
}

function page({ sql, chat, now, limit }) {
  const rows = db.prepare(sql).all([Buffer.from(chat, 'hex'), now, limit]);
  return { rows: rows.length };
}

// Each body becomes another, as a receipt or an edit makes it, in the order given; orders count from one.
function update({ sql, orders, body, mark }) {
  const text = Buffer.from(body);
  const statement = db.prepare(sql);
  const change = (order) => statement.run([marked(text, mark, order - 1), order]);
  return timed(db.transaction(() => orders.forEach(change)));
}

// The best that can be done for the dead without keys of their own.
function erase({ sql, now }) {
  return timed(() => {
    const { changes } = db.prepare(sql).run([now]);
    db.pragma('incremental_vacuum');
    db.pragma('wal_checkpoint(TRUNCATE)');
    return { rows: changes };
  });
}

const work = {
  open: (request) => timed(() => connect(request)),
  open_page: (request) => timed(() => (connect(request), page(request))),
  insert,
  page: (request) => timed(() => page(request)),
  update,
  erase,
  close: () => timed(() => db.close()),
};

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = work[request.do](request) ?? {};
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
