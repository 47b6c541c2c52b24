// A session with imapflow: PORT TLS_PORT USER PASSWORD CERTIFICATE MAILDIR.
// INBOX holds three messages; whatever is not as expected ends the script with an error.

const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { ImapFlow } = require('imapflow');

const [port, tlsPort, user, pass, certificate, maildir] = process.argv.slice(2);
const ca = fs.readFileSync(certificate);

function client(options) {
    const common = { auth: { user, pass }, logger: false, tls: { ca, servername: 'localhost' } };
    return new ImapFlow({ host: '127.0.0.1', ...common, ...options });
}

// Resolves when the client emits the event.
const once = (flow, event) => new Promise((resolve) => flow.once(event, resolve));

async function session(options) {
    const flow = client(options);
    await flow.connect();
    const lock = await flow.getMailboxLock('INBOX');
    try {
        assert.strictEqual(flow.mailbox.exists, 3);
        assert.ok(flow.mailbox.uidValidity > 0n);

        const one = await flow.fetchOne('1', { envelope: true, flags: true, bodyStructure: true, uid: true, source: true });
        assert.strictEqual(one.envelope.subject, 'one');
        assert.strictEqual(one.bodyStructure.type, 'text/plain');
        assert.ok(one.source.toString().includes('First.'));
        const two = await flow.fetchOne('2', { envelope: true });
        assert.strictEqual(two.envelope.subject, 'two café');
        const three = await flow.fetchOne('3', { bodyStructure: true });
        assert.strictEqual(three.bodyStructure.childNodes.length, 3);
        const { content } = await flow.download('3', '2');
        const chunks = [];
        for await (const chunk of content) chunks.push(chunk);
        assert.deepStrictEqual([...Buffer.concat(chunks)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);

        assert.deepStrictEqual(await flow.search({ subject: 'two' }, { uid: true }), [2]);
        assert.deepStrictEqual(await flow.search({ or: [{ from: 'ann' }, { from: 'dora' }] }), [1, 3]);

        assert.ok(await flow.messageFlagsAdd('1', ['\\Flagged', '$Label1'], { uid: true }));
        const flagged = await flow.fetchOne('1', { flags: true });
        assert.ok(flagged.flags.has('\\Flagged') && flagged.flags.has('$Label1'));
        await flow.messageFlagsRemove('1', ['\\Flagged', '$Label1'], { uid: true });

        await flow.mailboxCreate('Node');
        const copied = await flow.messageCopy('1:2', 'Node');
        assert.strictEqual(copied.uidMap.size, 2);
        const appended = await flow.append('INBOX', 'Subject: appended\r\n\r\nBody.\r\n', ['\\Seen']);
        const exists = flow.mailbox.exists === 4 ? null : once(flow, 'exists');
        await flow.noop();
        await exists;
        const moved = await flow.messageMove(String(appended.uid), 'Node', { uid: true });
        assert.strictEqual(moved.uidMap.size, 1);
        const status = await flow.status('Node', { messages: true, unseen: true, uidNext: true });
        assert.strictEqual(status.messages, 3);

        // A delivery while it is in IDLE.
        const arrival = once(flow, 'exists');
        const idle = flow.idle();
        await new Promise((resolve) => setTimeout(resolve, 200));
        fs.writeFileSync(path.join(maildir, 'tmp', 'flow'), 'Subject: delivered\n\nDelivered.\n');
        fs.renameSync(path.join(maildir, 'tmp', 'flow'), path.join(maildir, 'new', `${Date.now()}.flow${options.port}.host`));
        const { count } = await arrival;
        assert.strictEqual(count, 4);
        await flow.noop();
        await idle;
        await flow.messageDelete('4');
    } finally {
        lock.release();
    }
    const mailboxes = (await flow.list()).map((mailbox) => mailbox.path);
    assert.ok(mailboxes.includes('INBOX') && mailboxes.includes('Node'), mailboxes);
    await flow.mailboxRename('Node', 'Knot');
    await flow.mailboxDelete('Knot');
    await flow.logout();
}

async function main() {
    await session({ port: Number(tlsPort), secure: true, host: 'localhost' });
    await session({ port: Number(port), secure: false });
    const wrong = client({ port: Number(port), secure: false, auth: { user, pass: 'wrong' } });
    await assert.rejects(wrong.connect(), (error) => error.authenticationFailed === true);
    wrong.close();
    console.log('all done');
    process.exit(0);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
