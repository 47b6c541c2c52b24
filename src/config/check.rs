//! Settings that contradict each other.

use super::{
    AuthSource, ClientCertificate, Config, Endpoint, Mechanism, Separator, TlsRequired, location,
};
use crate::mail::Layout;

/// Something wrong or odd about several settings, each of which is right by itself.
pub(super) struct Finding {
    /// The settings; the first is the one to point at.
    pub about: &'static [&'static str],
    pub is_warning: bool,
    pub text: String,
}

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    check_tls(config, &mut findings);
    check_listeners(config, &mut findings);
    check_logins(config, &mut findings);
    check_names(config, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, about: &'static [&'static str], text: impl Into<String>) {
        self.add(about, false, text.into());
    }

    fn odd(&mut self, about: &'static [&'static str], text: impl Into<String>) {
        self.add(about, true, text.into());
    }

    fn add(&mut self, about: &'static [&'static str], is_warning: bool, text: String) {
        self.0.push(Finding {
            about,
            is_warning,
            text,
        });
    }
}

fn check_tls(config: &Config, findings: &mut Findings) {
    let (certificates, keys) = (config.tls_certificate.len(), config.tls_key.len());
    if certificates != keys {
        let text = format!(
            "tls.certificate has {certificates} entries and tls.key has {keys}; each certificate needs its \
             key, in the same order"
        );
        findings.wrong(&["tls.certificate", "tls.key"], text);
    }
    let asks = config.tls_client_certificate != ClientCertificate::No;
    if asks && config.tls_client_ca.is_none() {
        let about = &["tls.client_certificate", "tls.client_ca"];
        findings.wrong(
            about,
            "tls.client_certificate needs tls.client_ca, the authorities that may sign clients' certificates",
        );
    }
    if !asks && config.tls_client_ca.is_some() {
        findings.odd(
            &["tls.client_ca", "tls.client_certificate"],
            "tls.client_ca has no effect: tls.client_certificate is no",
        );
    }
    if config.auth_mechanisms.contains(&Mechanism::External) && !asks {
        findings.wrong(
            &["auth.mechanisms", "tls.client_certificate"],
            "EXTERNAL in auth.mechanisms needs tls.client_certificate = \"optional\" or \"required\"",
        );
    }
    let serves_tls = !config.listen_imaps.is_empty() || !config.listen_imaps_proxy.is_empty();
    match config.tls_required {
        TlsRequired::Off if serves_tls => findings.wrong(
            &["tls.required", "listen.imaps", "listen.imaps_proxy"],
            "tls.required = \"off\" is no TLS at all: listen.imaps and listen.imaps_proxy must be []",
        ),
        TlsRequired::Off | TlsRequired::No => findings.odd(
            &["tls.required"],
            "passwords may cross the network in the clear",
        ),
        TlsRequired::Yes | TlsRequired::Always => {}
    }
}

fn check_listeners(config: &Config, findings: &mut Findings) {
    let behind = config.listen_imap_proxy.len() + config.listen_imaps_proxy.len();
    let about = &[
        "listen.imap_proxy",
        "listen.imaps_proxy",
        "listen.trusted_proxies",
    ];
    if behind > 0 && config.trusted_proxies.is_empty() {
        findings.wrong(
            about,
            "listen.imap_proxy and listen.imaps_proxy need listen.trusted_proxies, because other peers \
             could give a false address in a PROXY header",
        );
    }
    if behind == 0 && !config.trusted_proxies.is_empty() {
        findings.odd(
            &["listen.trusted_proxies"],
            "listen.trusted_proxies has no effect without listen.imap_proxy or listen.imaps_proxy",
        );
    }
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let listeners = [
        &config.listen_imap,
        &config.listen_imaps,
        &config.listen_imap_proxy,
        &config.listen_imaps_proxy,
    ];
    for &endpoint in listeners.into_iter().flatten() {
        let show = super::value::show_endpoint;
        let other = endpoints.iter().find(|other| other.overlaps(&endpoint));
        if let Some(other) = other {
            let text = match *other == endpoint {
                true => format!("{} is listened on twice", show(&endpoint)),
                false => format!(
                    "{} and {} overlap: the kernel does not allow both, because a client of one could be \
                     meant for the other",
                    show(other),
                    show(&endpoint)
                ),
            };
            findings.wrong(
                &[
                    "listen.imap",
                    "listen.imaps",
                    "listen.imap_proxy",
                    "listen.imaps_proxy",
                ],
                text,
            );
        }
        endpoints.push(endpoint);
    }
    if config.listen_sasl.as_ref() == Some(&config.control_socket) {
        findings.wrong(
            &["listen.sasl", "listen.control"],
            "listen.sasl and listen.control are the same socket",
        );
    }
}

fn check_logins(config: &Config, findings: &mut Findings) {
    let is_file = |source: &AuthSource| matches!(source, AuthSource::PasswdFile(_));
    let scram = config.auth_mechanisms.contains(&Mechanism::ScramSha256);
    if scram && !config.auth_sources.iter().any(is_file) {
        findings.wrong(
            &["auth.mechanisms", "auth.sources"],
            "SCRAM-SHA-256 in auth.mechanisms needs a passwd-file in auth.sources: PAM can only \
             verify a password that it is shown",
        );
    }
    let separator = &config.auth_master_user_separator;
    let knows_masters = |source: &AuthSource| matches!(source, AuthSource::Dovecot(_));
    if !separator.is_empty()
        && config.auth_master_sources.is_empty()
        && !config.auth_sources.iter().any(knows_masters)
    {
        findings.odd(
            &["auth.master_user_separator", "auth.master_sources"],
            "auth.master_user_separator is set, but auth.master_sources names nobody: there are no \
             master users",
        );
    }
    if !separator.is_empty()
        && separator
            .chars()
            .all(|c| config.auth_username_chars.contains(c))
    {
        findings.odd(
            &["auth.master_user_separator", "auth.username_chars"],
            "auth.master_user_separator may stand in a user name (auth.username_chars): users with \
             such names cannot log in",
        );
    }
    if config.auth_first_valid_uid == 0 {
        findings.odd(
            &["auth.first_valid_uid"],
            "root is not served, whatever auth.first_valid_uid says",
        );
    }
    let defaults = [
        &config.auth_default_uid,
        &config.auth_default_gid,
        &config.auth_default_home,
    ];
    let has_defaults = defaults.iter().any(|default| !default.is_empty());
    if has_defaults && !config.auth_sources.iter().any(is_file) {
        findings.odd(
            &["auth.default_uid", "auth.default_gid", "auth.default_home"],
            "auth.default_uid, auth.default_gid and auth.default_home are for users of a passwd-file, \
             and none is in auth.sources",
        );
    }
    if config.failure_delay >= config.login_timeout {
        findings.wrong(
            &["auth.failure_delay", "auth.login_timeout"],
            "auth.failure_delay must be shorter than auth.login_timeout, or no client hears of a \
             wrong password",
        );
    }
    if config.auth_username_format.ends_with('n') && location::uses_domain(config) {
        findings.wrong(
            &[
                "auth.username_format",
                "mail.location",
                "mail.index_dir",
                "auth.default_home",
            ],
            "auth.username_format takes the domain away that mail.location, mail.index_dir or \
             auth.default_home needs for %d",
        );
    }
}

fn check_names(config: &Config, findings: &mut Findings) {
    if config.layout == Layout::Detect && location::layout(config) == Layout::Detect {
        if location::inbox_is_by_layout(config) {
            findings.wrong(
                &["mail.location", "mail.layout"],
                "an INBOX= with nothing behind it in mail.location needs mail.layout = \"maildir++\" or \"fs\"",
            );
        }
        let has_prefix = !config.prefix.is_empty() || !config.hidden_prefix.is_empty();
        if config.separator == Separator::OfLayout && has_prefix {
            findings.wrong(
                &["mail.separator", "mail.prefix", "mail.hidden_prefix", "mail.layout"],
                "mail.prefix and mail.hidden_prefix end in the separator, so mail.separator must be set where \
                 mail.layout = \"detect\"",
            );
        }
    }
    let separator = char::from(config.usual_separator());
    let is_whole =
        |prefix: &str| prefix.is_empty() || prefix.len() > 1 && prefix.ends_with(separator);
    if !is_whole(&config.prefix) {
        let text = format!("mail.prefix must end with the separator, as in \"INBOX{separator}\"");
        findings.wrong(&["mail.prefix", "mail.separator"], text);
    }
    if !is_whole(&config.hidden_prefix) {
        let text =
            format!("mail.hidden_prefix must end with the separator, as in \"INBOX{separator}\"");
        findings.wrong(&["mail.hidden_prefix", "mail.separator"], text);
    }
    if !config.prefix.is_empty() && config.prefix == config.hidden_prefix {
        findings.wrong(
            &["mail.hidden_prefix", "mail.prefix"],
            "mail.hidden_prefix is the same as mail.prefix",
        );
    }
}
