//! A small Maildir to try Roost with, for users who have none.
//!
//! It is written as any program that delivers mail would, with the `maildir` crate.

use std::io;
use std::path::Path;

use ::maildir::{Maildir, MaildirError};

/// Fills `path`, which does not exist or is an empty directory.
pub(super) fn make(path: &Path) -> io::Result<()> {
    let inbox = Maildir::from(path.to_path_buf());
    inbox.create_dirs()?;
    inbox
        .store_cur_with_flags(WELCOME.as_bytes(), "S")
        .map_err(other)?;
    inbox.store_new(INTERNATIONAL.as_bytes()).map_err(other)?;
    inbox.store_new(ATTACHMENT.as_bytes()).map_err(other)?;

    inbox
        .create_subfolder_dirs(".Lists.Roost")
        .and_then(|()| inbox.subfolder(".Lists.Roost"))
        .and_then(|list| list.store_new(LIST.as_bytes()))
        .map_err(other)?;
    Ok(())
}

fn other(error: MaildirError) -> io::Error {
    match error {
        MaildirError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    }
}

const WELCOME: &str = "\
Return-Path: <postmaster@example.org>
Date: Mon, 05 Oct 2026 09:00:00 +0000
From: Roost <postmaster@example.org>
To: You <you@example.org>
Subject: Welcome to Roost
Message-ID: <welcome@roost.example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

This is a message in a Maildir: one file in the directory cur.

Rename it, delete it, or put another file beside it, with whatever
program you like, and see your mail program hear of it at once.
";

const INTERNATIONAL: &str = "\
Return-Path: <zoe@example.org>
Date: Tue, 06 Oct 2026 17:30:00 +0200
From: =?UTF-8?Q?Zo=C3=AB_M=C3=BCller?= <zoe@example.org>
To: You <you@example.org>
Subject: =?UTF-8?B?R3LDvMOfZSBhdXMgS8O2bG4g4oCUINC/0YDQuNCy0LXRgiDigJQg44GT44KT44Gr44Gh44Gv?=
Message-ID: <greetings@roost.example.org>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Search for M=C3=9CLLER or for m=C3=BCller: both find this message.
";

const ATTACHMENT: &str = "\
Return-Path: <sam@example.org>
Date: Wed, 07 Oct 2026 08:15:00 +0000
From: Sam <sam@example.org>
To: You <you@example.org>
Subject: A table, as text, as HTML and as a file
Message-ID: <table@roost.example.org>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=us-ascii

Nests built: 3
--inner
Content-Type: text/html; charset=us-ascii

<p>Nests built: <b>3</b></p>
--inner--

--outer
Content-Type: text/csv; name=nests.csv
Content-Disposition: attachment; filename=nests.csv
Content-Transfer-Encoding: base64

dHJlZSxuZXN0cwpvYWssMgplbG0sMQo=
--outer--
";

const LIST: &str = "\
Return-Path: <owner@example.org>
Date: Thu, 08 Oct 2026 12:00:00 +0000
From: A subscriber <subscriber@example.org>
To: Roost <roost@lists.example.org>
List-Id: <roost.lists.example.org>
Subject: [roost] A mailbox two levels down
Message-ID: <list@roost.example.org>

The directory of this mailbox is .Lists.Roost.
";
