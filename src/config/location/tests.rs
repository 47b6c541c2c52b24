use super::*;
use proptest::prelude::*;
use std::path::{Component, Path};

fn at(template: &str, user: &str) -> Result<String, LocationError> {
    let place = MailPlace::Template(template.to_owned());
    let location = Config::default().locate_by(&place, user, "/home/bob/")?;
    Ok(location.maildir.to_str().unwrap().to_owned())
}

fn parts(text: &str) -> Result<Location, LocationError> {
    let place = MailPlace::Template(text.to_owned());
    Config::default().locate_by(&place, "bob@example.org", "/home/bob")
}

#[test]
fn every_part_of_a_location_is_understood_or_refused_with_a_reason() {
    for key in [
        "ALT=~/x",
        "INDEXPVT=~/x",
        "SUBSCRIPTIONS=x",
        "DIRNAME=x",
        "FULLDIRNAME=x",
        "MAILBOXDIR=x",
        "BROKENCHAR=_",
        "ITERINDEX",
        "NO-NOSELECT",
        "NO-FS-VALIDATION",
        "LAYOUT=index",
    ] {
        for form in [format!(":{key}"), format!(":LAYOUT=fs:{key}")] {
            let Err(text) = check(&format!("maildir:~/Maildir{form}")) else {
                panic!("{form}");
            };
            let name = key.split('=').next().unwrap();
            assert!(text.contains(name), "{form}: {text}");
        }
    }
    for text in [
        "~/Maildir:NONSENSE",
        "~/Maildir:UTF-8=yes",
        "~/Maildir:layout=fs",
        "~/a::b",
    ] {
        assert!(check(text).is_err(), "{text}");
    }
    let ours = parts("maildir:~/M:VOLATILEDIR=/run/x:LISTINDEX=list:INDEXCACHE=~/cache:");
    let maildir = PathBuf::from("/home/bob/M");
    assert_eq!(
        ours,
        Ok(Location::at(maildir.clone(), Layout::MaildirPlusPlus))
    );
    let all = parts("maildir:~/M:LAYOUT=fs:INBOX=~/In:INDEX=/idx/%u:CONTROL=/ctl/%d/%n:UTF-8");
    assert_eq!(
        all,
        Ok(Location {
            maildir,
            inbox: Some(PathBuf::from("/home/bob/In")),
            index_dir: Some(PathBuf::from("/idx/bob@example.org")),
            dovecot_index_dir: Some(PathBuf::from("/idx/bob@example.org")),
            control_dir: Some(PathBuf::from("/ctl/example.org/bob")),
            layout: Layout::Fs,
            utf8_names: true,
        })
    );
}

#[test]
fn an_inbox_is_where_dovecot_has_it() {
    let inbox = |text: &str| Some(parts(text).ok()?.inbox?.to_str()?.to_owned());
    assert_eq!(inbox("~/M"), None);
    assert_eq!(inbox("~/M:INBOX=~/M/"), None);
    assert_eq!(inbox("~/M:INBOX=").as_deref(), Some("/home/bob/M/.INBOX"));
    assert_eq!(
        inbox("~/M:INBOX=:LAYOUT=fs").as_deref(),
        Some("/home/bob/M/INBOX")
    );
    assert!(parts("~/M:INBOX=:LAYOUT=detect").is_err());
    assert!(check("~/M:INBOX=In").is_err());

    // The settings of 2.4, of which a user database has some.
    let mut config = Config::default();
    config
        .set("mail.location=maildir:~/M:INBOX=~/In:CONTROL=/ctl/%u")
        .unwrap();
    let located = |settings: &[(&'static str, &str)]| {
        let settings = settings
            .iter()
            .map(|(name, value)| (*name, String::from(*value)));
        let place = MailPlace::Changed(settings.collect());
        config.locate_by(&place, "bob", "/home/bob").unwrap()
    };
    let control = Some(PathBuf::from("/ctl/bob"));
    for (value, inbox) in [
        ("", Some("/srv/bob/.INBOX")),
        (".", None),
        ("In/box", Some("/srv/bob/In/box")),
        ("/var/mail/%{user}", Some("/var/mail/bob")),
    ] {
        let location = located(&[("mail_path", "/srv/%{user}"), ("mail_inbox_path", value)]);
        assert_eq!(location.inbox.as_deref(), inbox.map(Path::new), "{value}");
        assert_eq!(location.control_dir, control);
    }
    let location = located(&[("mailbox_list_layout", "fs"), ("mail_control_path", "")]);
    assert_eq!((location.layout, location.control_dir), (Layout::Fs, None));
    assert_eq!(location.inbox, Some(PathBuf::from("/home/bob/In")));
}

#[test]
fn an_index_in_memory_is_none_of_dovecots_and_ours_is_in_the_maildir() {
    let mut config = Config::default();
    config.set("mail.index_dir=/idx/%u").unwrap();
    let ours = config.locate("bob", "/home/bob").unwrap();
    assert_eq!(ours.index_dir, Some(PathBuf::from("/idx/bob")));
    assert_eq!(ours.dovecot_index_dir, None);
    config.set("mail.location=~/Maildir:INDEX=MEMORY").unwrap();
    let memory = config.locate("bob", "/home/bob").unwrap();
    assert_eq!((memory.index_dir, memory.dovecot_index_dir), (None, None));
}

/// What Dovecot 2.3.19 makes of these for `Bob.Smith@Example.ORG`; `tests/handover.rs` asks it
/// again.
#[test]
fn variables_have_the_modifiers_of_2_3() {
    for (variable, value) in [
        ("%u", "Bob.Smith@Example.ORG"),
        ("%Un", "BOB.SMITH"),
        ("%LUn", "BOB.SMITH"),
        ("%ULn", "bob.smith"),
        ("%2n", "Bo"),
        ("%1.2n", "ob"),
        ("%-2n", "Bo"),
        ("%-3.2n", "it"),
        ("%1.-2n", "ob.Smi"),
        ("%-0.3n", "Bob"),
        ("%01.5n", "ob.Sm"),
        ("%03n", "Bob.Smith"),
        ("%012n", "000Bob.Smith"),
        ("%1Ln", "b"),
        ("%Hn", "53a89f8"),
        ("%256Hn", "f8"),
        ("%3.256Hn", "0f8"),
        ("%Nu", "308828a6"),
        ("%2.256Nu", "a6"),
        ("%Mu", "1d0988b0308828a60d91fb6045349075"),
        ("%1Mu", "1"),
        ("%Ru", "GRO.elpmaxE@htimS.boB"),
        ("%Xn", "0"),
        ("%Tn", "Bob.Smith"),
        ("%En", "Bob.Smith"),
        ("%Du", "Bob,dc=Smith@Example,dc=ORG"),
        ("%{user}", "Bob.Smith@Example.ORG"),
        ("%L{domain}", "example.org"),
        ("%1{username}", "B"),
        ("%H{user}", "525ba7"),
        ("%{md5:user}", "1d0988b0308828a60d91fb6045349075"),
        ("%{sha1:user}", "e570b102a9a85e08a693316661709a9097410012"),
        ("%%", "%"),
    ] {
        let path = at(&format!("/m/x{variable}"), "Bob.Smith@Example.ORG");
        assert_eq!(path, Ok(format!("/m/x{value}")), "{variable}");
    }
    assert_eq!(at("%Lh/M", "bob"), Ok("/home/bob/M".to_owned()));
    assert_eq!(at("%{home}/M", "bob"), Ok("/home/bob/M".to_owned()));
    assert_eq!(at("/m/%Xu", "255"), Ok("/m/ff".to_owned()));
}

#[test]
fn variables_have_the_filters_of_2_4() {
    for (variable, value) in [
        ("%{user | lower}", "bob.smith@example.org"),
        ("%{user|username|upper}", "BOB.SMITH"),
        ("%{user | domain | lower}", "example.org"),
        ("%{user | substr(0, 1)}", "B"),
        ("%{user | domain | substr(-3)}", "ORG"),
        ("%{user | username | reverse}", "htimS.boB"),
    ] {
        let path = at(&format!("/m/{variable}/x"), "Bob.Smith@Example.ORG");
        assert_eq!(path, Ok(format!("/m/{value}/x")), "{variable}");
    }
    assert_eq!(
        at("/m/%{user | domain}", "bob"),
        Err(LocationError::NoDomain)
    );
    assert!(uses_domain(&{
        let mut config = Config::default();
        config.set("mail.location=/m/%{user | domain}/x").unwrap();
        config
    }));
}

#[test]
fn variables_are_filled_in() {
    for (template, path) in [
        ("~/Maildir", "/home/bob/Maildir"),
        ("~", "/home/bob"),
        ("maildir:~/Maildir/", "/home/bob/Maildir"),
        ("%h/mail", "/home/bob/mail"),
        ("/var/mail/%d/%n", "/var/mail/Example.ORG/Bob"),
        ("/var/mail/%Ld/%Un", "/var/mail/example.org/BOB"),
        ("/var/mail/%Lu", "/var/mail/bob@example.org"),
        ("/srv/100%%/%u/mail~", "/srv/100%/Bob@Example.ORG/mail~"),
    ] {
        assert_eq!(at(template, "Bob@Example.ORG").as_deref(), Ok(path));
    }
}

#[test]
fn what_is_no_template_is_refused() {
    for template in [
        "",
        "Maildir",
        "mbox:~/mail",
        "~bob/Maildir",
        "/x/%",
        "/x/%L",
        "/x/%q",
        "/x/%{user",
        "/x/%{uid}",
        "/x/%{userdb:mail}",
        "/x/%{user | default('x')}",
        "/x/%{user | substr()}",
        "/x/%{user | substr(0, 0)}",
        "/x/%{crc32:user}",
        "/x/%L1n",
        "/x/%i",
        "/x/%s",
        "/x/%L%",
        "/x/%h",
        "x%h/x",
        "/x:CONTROL=y",
        "/x:INDEX=",
        "/x:LAYOUT=index",
        "/x:y",
        "/x/\u{e4}%\u{e4}",
    ] {
        assert!(check(template).is_err(), "{template}");
    }
}

#[test]
fn a_name_without_a_domain_or_a_home_is_told_apart() {
    assert_eq!(at("/m/%d/%n", "bob"), Err(LocationError::NoDomain));
    assert_eq!(at("/m/%d/%n", "bob@"), Err(LocationError::Name));
    assert_eq!(at("/m/%d/%n", "@x"), Err(LocationError::Name));
    let homeless = Config::default().locate("bob", "");
    assert_eq!(homeless, Err(LocationError::NoHome));
}

#[test]
fn names_that_lead_elsewhere_have_no_mail() {
    for user in [
        "..", ".", ".bob", "../bob", "a/b", "a\0b", "", "a@..", "a@.b",
    ] {
        for template in ["/m/%u", "/m/%d/%n", "/m/%n/%d"] {
            let found = at(template, user);
            let expected = match (user, template) {
                ("a@..", "/m/%u") => Ok("/m/a@..".to_owned()),
                ("a@.b", "/m/%u") => Ok("/m/a@.b".to_owned()),
                (user, "/m/%d/%n") if !user.contains('@') => Err(LocationError::NoDomain),
                _ => Err(LocationError::Name),
            };
            assert_eq!(found, expected, "{user} {template}");
        }
    }
}

proptest! {
    #[test]
    fn a_name_stays_in_its_directory(user in "[a./@\\x00%~:\u{e4}]{0,8}") {
        for template in [
            "/m/%u", "/m/%d/%n/x", "/m/%Ln.%Ud", "/m/x%u", "/m/%1n/%1.1n/%n", "/m/%-2.2u/%Ru",
            "/m/%{user | substr(1, 2)}/%{user | reverse}",
        ] {
            let Ok(path) = at(template, &user) else { continue };
            let components: Vec<Component<'_>> = Path::new(&path).components().collect();
            let expected = template.matches('/').count() + 1;
            prop_assert_eq!(components.len(), expected);
            prop_assert!(!components.contains(&Component::ParentDir));
            prop_assert_eq!(components[1], Component::Normal("m".as_ref()));
        }
    }
}
