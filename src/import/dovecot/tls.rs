//! Certificates, and what TLS is asked for.

use super::effective::Effective;
use super::language::{Block, DovecotSetting, ValueForm};
use crate::import::draft::ImportDraft;

pub(super) fn translate(found: &Effective<'_>, draft: &mut ImportDraft) {
    requirement(found, draft);
    certificates(found, draft);
    versions(found, draft);
    clients(found, draft);
}

fn requirement(found: &Effective<'_>, draft: &mut ImportDraft) {
    let ssl = found.get("ssl");
    if let Some(ssl) = ssl.filter(|ssl| ssl.value == "no") {
        draft.set("tls.required", "off", &ssl.place);
        return;
    }
    let clear = found
        .get("disable_plaintext_auth")
        .filter(|setting| !setting.is_yes());
    let clear = clear.or(found
        .get("auth_allow_cleartext")
        .filter(|setting| setting.is_yes()));
    // With `ssl = required` it has no effect.
    let is_required = ssl.is_some_and(|ssl| ssl.value == "required");
    if let Some(clear) = clear.filter(|_| !is_required) {
        draft.set("tls.required", "no", &clear.place);
    }
}

fn certificates(found: &Effective<'_>, draft: &mut ImportDraft) {
    let mut pairs: Vec<(Option<&DovecotSetting>, Option<&DovecotSetting>)> = Vec::new();
    for (certificate, key) in [
        (CERTIFICATE, KEY),
        (ALTERNATIVE_CERTIFICATE, ALTERNATIVE_KEY),
    ] {
        pairs.push((found.either(certificate), found.either(key)));
    }
    let blocks: Vec<&Block> = found.root.blocks_of("local_name").collect();
    let of_names =
        |block: &'_ &Block, names: &[&str]| names.iter().find_map(|name| block.get(name).cloned());
    let own: Vec<(Option<DovecotSetting>, Option<DovecotSetting>)> = blocks
        .iter()
        .map(|block| (of_names(block, CERTIFICATE), of_names(block, KEY)))
        .collect();
    pairs.extend(
        own.iter()
            .map(|(certificate, key)| (certificate.as_ref(), key.as_ref())),
    );
    for (block, (certificate, _)) in blocks.iter().zip(&own) {
        let others = block.settings().filter(|setting| {
            let mut taken = [CERTIFICATE, KEY].into_iter().flatten();
            !taken.any(|name| *name == setting.name)
        });
        for setting in others {
            let text = format!(
                "only the certificate is chosen by the name {} that a client asks for",
                block.argument
            );
            draft.lost(&setting.name, &setting.place, text);
        }
        if certificate.is_some() {
            let text = "Roost chooses the certificate by the names that are in it";
            draft.note("local_name", &block.place, text);
        }
    }
    let mut taken: Vec<(String, String)> = Vec::new();
    let mut first = None;
    for pair in pairs {
        let (Some(certificate), Some(key)) = pair else {
            if let (Some(alone), None) | (None, Some(alone)) = pair {
                draft.lost(
                    &alone.name,
                    &alone.place,
                    "its certificate or its key is not set",
                );
            }
            continue;
        };
        if key.form == ValueForm::Hidden {
            let text = "doveconf does not show where the key is, so the certificate is left out: import the \
                        files instead, or the output of doveconf -nP";
            draft.lost(&key.name, &key.place, text);
            continue;
        }
        match (path_of(certificate), path_of(key)) {
            // Debian has none unless one is made.
            (Some(""), _) | (_, Some("")) => {}
            (Some(certificate), Some(key)) => {
                taken.push((certificate.to_owned(), key.to_owned()));
            }
            _ => {
                let text = "the text itself stands in the configuration: put it into a file";
                draft.lost(&certificate.name, &certificate.place, text);
                continue;
            }
        }
        first.get_or_insert(&certificate.place);
    }
    if let Some(place) = first {
        let quoted = |path: &str| format!("\"{path}\"");
        let list = |pick: fn(&(String, String)) -> &str| {
            let paths = taken.iter().map(|pair| quoted(pick(pair)));
            paths.collect::<Vec<_>>().join(" ")
        };
        draft.set(
            "tls.certificate",
            &list(|(certificate, _)| certificate),
            place,
        );
        draft.set("tls.key", &list(|(_, key)| key), place);
    }
    if let Some(password) = found
        .either(KEY_PASSWORD)
        .filter(|setting| !setting.value.is_empty())
    {
        let text = "Roost reads no encrypted key: write it without a password, readable by root alone (openssl \
                    pkey -in KEY -out NEWKEY)";
        draft.lost(&password.name, &password.place, text);
    }
}

/// The path in `<PATH`, or in 2.4 the value of a setting that is a path.
fn path_of(setting: &DovecotSetting) -> Option<&str> {
    let is_path = setting.form == ValueForm::File || setting.name.ends_with("_file");
    (is_path || setting.value.is_empty()).then_some(setting.value.as_str())
}

fn versions(found: &Effective<'_>, draft: &mut ImportDraft) {
    if let Some(version) = found.get("ssl_min_protocol") {
        match version.value.as_str() {
            "TLSv1.3" => draft.set("tls.min_version", "1.3", &version.place),
            "TLSv1.2" | "LATEST" | "" => {}
            other => {
                let text = format!(
                    "Roost speaks TLS 1.2 and 1.3 only; clients that know only {other} cannot connect"
                );
                draft.note("ssl_min_protocol", &version.place, text);
            }
        }
    }
    if let Some(protocols) = found.get("ssl_protocols") {
        let text = "Roost speaks TLS 1.2 and 1.3; tls.min_version says which is the oldest";
        draft.note("ssl_protocols", &protocols.place, text);
    }
}

fn clients(found: &Effective<'_>, draft: &mut ImportDraft) {
    let asked = ["ssl_verify_client_cert", "ssl_server_request_client_cert"];
    let asked = found.either(&asked).filter(|setting| setting.is_yes());
    let required = found.get("auth_ssl_require_client_cert");
    let required = required.filter(|setting| setting.is_yes());
    let Some(reason) = required.or(asked) else {
        return;
    };
    let Some(authorities) = found.either(&["ssl_ca", "ssl_server_ca_file"]) else {
        draft.lost(
            &reason.name,
            &reason.place,
            "no authorities are named for the certificates of clients",
        );
        return;
    };
    draft.set("tls.client_ca", &authorities.value, &authorities.place);
    let word = if required.is_some() {
        "required"
    } else {
        "optional"
    };
    draft.set("tls.client_certificate", word, &reason.place);
    let field = ["ssl_cert_username_field", "ssl_server_cert_username_field"];
    let field = found
        .either(&field)
        .filter(|field| field.value != "commonName");
    if let Some(field) = field.filter(|_| found.says_yes("auth_ssl_username_from_cert")) {
        draft.lost(
            &field.name,
            &field.place,
            "Roost takes the user's name from the common name",
        );
    }
}

const CERTIFICATE: &[&str] = &["ssl_cert", "ssl_server_cert_file"];
const KEY: &[&str] = &["ssl_key", "ssl_server_key_file"];
const ALTERNATIVE_CERTIFICATE: &[&str] = &["ssl_alt_cert", "ssl_server_alt_cert_file"];
const ALTERNATIVE_KEY: &[&str] = &["ssl_alt_key", "ssl_server_alt_key_file"];
const KEY_PASSWORD: &[&str] = &["ssl_key_password", "ssl_server_key_password"];
