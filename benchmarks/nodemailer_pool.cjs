// Sends MAILS ready mails of SIZE bytes to a port of 127.0.0.1 through nodemailer's pool; prints the seconds it took.
// NODE_PATH says where nodemailer is. `node benchmarks/nodemailer_pool.cjs PORT MAILS SIZE CONNECTIONS`
const nodemailer = require("nodemailer");

const [port, mails, size, connections] = process.argv.slice(2).map(Number);
const transport = nodemailer.createTransport({
  host: "127.0.0.1", port, ignoreTLS: true, pool: true, maxConnections: connections, maxMessages: Infinity,
});
const body = ("x".repeat(74) + "\r\n").repeat(Math.round(size / 76));

function mail(number) {
  const to = `reader.${number}@example.com`;
  const head = `From: hello@juniper.example\r\nTo: ${to}\r\nSubject: We miss you\r\nMessage-ID: <${number}@juniper.example>\r\n\r\n`;
  return { envelope: { from: "hello@juniper.example", to: [to] }, raw: head + body };
}

let next = 0, taken = 0;
const began = process.hrtime.bigint();

function send() {
  if (next >= mails) return;
  transport.sendMail(mail(next++), (error) => {
    if (error) throw error;
    if (++taken === mails) {
      console.log(Number(process.hrtime.bigint() - began) / 1e9);
      transport.close();
    } else send();
  });
}
for (let each = 0; each < 4 * connections; each++) send(); // always some waiting, never all of them in memory
