//! Certificates made with openssl, and the hashes that `openssl dgst` gives.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[test]
fn the_hash_of_a_certificate_is_that_of_its_signature_but_no_broken_one() {
    for (text, hash) in CERTIFICATES {
        let der = STANDARD.decode(text).unwrap();
        let facts = CertificateFacts::read(&der).unwrap();
        let found = facts.end_point(&der).unwrap();
        let found: String = found.iter().map(|octet| format!("{octet:02x}")).collect();
        assert_eq!(found, hash);
    }
}

#[test]
fn what_is_no_certificate_or_only_part_of_one_is_none() {
    let der = STANDARD.decode(CERTIFICATES[0].0).unwrap();
    for end in 0..der.len() {
        assert!(CertificateFacts::read(&der[..end]).is_none());
    }
}

/// ecdsa-with-SHA512, ecdsa-with-SHA1, RSASSA-PSS with SHA-384 and with its default, SHA-1.
const CERTIFICATES: [(&str, &str); 4] = [
    (
        "MIIBcDCCARWgAwIBAgIUL+57m9vgYGr46r4vu/ti1rgj10cwCgYIKoZIzj0EAwQwDDEKMAgGA1UEAwwBeDAg\
         Fw0yNjExMjgyMTMwMDlaGA8yMTI2MTEwNDIxMzAwOVowDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqG\
         SM49AwEHA0IABIx3AZR8B6EycgAZog03x88Jpq2uN4AQ0V4IWz92Bf6DV8y7njRdQKNu+KwL1eZ2H7psvw7Z\
         XdqF9iztmbwp/X2jUzBRMB0GA1UdDgQWBBQ5HIhw6hO8t4aU1CtCj8FCCYLSJDAfBgNVHSMEGDAWgBQ5HIhw\
         6hO8t4aU1CtCj8FCCYLSJDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMEA0kAMEYCIQCaFmnuZQTHHOA+\
         fDaTEv1Kt+E7XrycieROzhjR741qcwIhAPVULBWcNC5WULb12yH6n9LGA+8p5fK3g2RBc6v1QZXY",
        "ad5cdea788bbbdc80d3f7ead11230f9ff75994c1621a96608c9554574c47b08aba1c9d59a90ac1da07e2a5cc1e88e8b070eefca8a86f2186824b4f1a7b320009",
    ),
    (
        "MIIBbjCCARSgAwIBAgIUJezFoGrGboqpnz5ua8d2bNTcLRgwCQYHKoZIzj0EATAMMQowCAYDVQQDDAF4MCAX\
         DTI2MTEyODIxMzAwOVoYDzIxMjYxMTA0MjEzMDA5WjAMMQowCAYDVQQDDAF4MFkwEwYHKoZIzj0CAQYIKoZI\
         zj0DAQcDQgAEjHcBlHwHoTJyABmiDTfHzwmmra43gBDRXghbP3YF/oNXzLueNF1Ao274rAvV5nYfumy/Dtld\
         2oX2LO2ZvCn9faNTMFEwHQYDVR0OBBYEFDkciHDqE7y3hpTUK0KPwUIJgtIkMB8GA1UdIwQYMBaAFDkciHDq\
         E7y3hpTUK0KPwUIJgtIkMA8GA1UdEwEB/wQFMAMBAf8wCQYHKoZIzj0EAQNJADBGAiEAgvxJg7K0smHbxkHi\
         SJPs6fB4IbuS+tuYbZjFBg6hsuUCIQCX36S/ppug1mlwwqenh6FCywwJ4mIy7lp/sW8pSdu1Xw==",
        "b045b2b3beb3ce8b247acc6d4697ac10ac3987ef286ba6ec06334cb4f13119a1",
    ),
    (
        "MIICXjCCAZOgAwIBAgIUYTqtxhfTBZW6fq2i69O91Xn+L40wQQYJKoZIhvcNAQEKMDSgDzANBglghkgBZQME\
         AgIFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgIFAKIDAgFOMAwxCjAIBgNVBAMMAXgwIBcNMjYxMTI4\
         MjEzMDA5WhgPMjEyNjExMDQyMTMwMDlaMAwxCjAIBgNVBAMMAXgwgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJ\
         AoGBAMFYFfiHIwkuIoPehoHCejMt3lpauGsGYTd1LW7OVquva2d0LoHd1ye67G43mOkI+p47jTtE0QPP11aS\
         Ee4bbwKhM9jrCyRwwOPArZnrV90lf+sJH7b5ZWMb8IuO/0KxsbdG2oGV3Ed5d5zDs1b6vUX89oyl+wyqfl4m\
         EouCOnQZAgMBAAGjUzBRMB0GA1UdDgQWBBT8+Hwo5ALdpvCyT0V+PbdGHnP9aDAfBgNVHSMEGDAWgBT8+Hwo\
         5ALdpvCyT0V+PbdGHnP9aDAPBgNVHRMBAf8EBTADAQH/MEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAIC\
         BQChHDAaBgkqhkiG9w0BAQgwDQYJYIZIAWUDBAICBQCiAwIBTgOBgQA0DhFU3Pmpn51ilgVsYLF6lVzDWlB5\
         OmNoMZd/XNyhnkWwJojTfoUkNMvhdGdIOgg+S4q+MZ2tTpdjqpJE33VnZDGTUw9wjNptm1/G7cclU+XFfM1A\
         BWavQPPOzxN1RQa2LR6YYpt5xDGqAf0MNu9/7w+OO6IJSalSBtr1ZxNgyg==",
        "dc830e93fe0ac39d4e662b916f08f7298e62ebef87453db28ef033d9ad1a8224bf073cafb01e1b909e5d9dfba2eaa023",
    ),
    (
        "MIICADCCAWSgAwIBAgIUQRAVshatF8+KGC0EdVrFMurYYrowEgYJKoZIhvcNAQEKMAWiAwIBajAMMQowCAYD\
         VQQDDAF4MCAXDTI2MTEyODIxMzAwOVoYDzIxMjYxMTA0MjEzMDA5WjAMMQowCAYDVQQDDAF4MIGfMA0GCSqG\
         SIb3DQEBAQUAA4GNADCBiQKBgQDBWBX4hyMJLiKD3oaBwnozLd5aWrhrBmE3dS1uzlarr2tndC6B3dcnuuxu\
         N5jpCPqeO407RNEDz9dWkhHuG28CoTPY6wskcMDjwK2Z61fdJX/rCR+2+WVjG/CLjv9CsbG3RtqBldxHeXec\
         w7NW+r1F/PaMpfsMqn5eJhKLgjp0GQIDAQABo1MwUTAdBgNVHQ4EFgQU/Ph8KOQC3abwsk9Ffj23Rh5z/Wgw\
         HwYDVR0jBBgwFoAU/Ph8KOQC3abwsk9Ffj23Rh5z/WgwDwYDVR0TAQH/BAUwAwEB/zASBgkqhkiG9w0BAQow\
         BaIDAgFqA4GBAE+q7yeqhrwNYY9MDPMioK0jSq02DeCaZUcAyjeDqmnZLCWGPxvAc0eRjA0ET3JwIu+CI7sz\
         Umd0D0c4XD73g1OE6syEflKSeuVj5+DuPvR3/FLoqHys+YRv0eX8qb5nmsVy/VsIRJ8Z+YgHP6oAoC5gVqPL\
         Q4OpwAEI/KjMXZYQ",
        "8920323350b707b557f73924e1729c981bad52a28102eb44f1603f721d3a0ad4",
    ),
];
