//! Headers, whole, cut and wrong.

use super::*;

#[test]
fn lines_of_version_1_are_read_and_nothing_after_them() {
    for (line, client, proxy) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 143\r\n",
            "192.0.2.1:56324",
            "198.51.100.2:143",
        ),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            "0.0.0.0:0",
            "255.255.255.255:65535",
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:db8::2 4711 993\r\n",
            "[2001:db8::1]:4711",
            "[2001:db8::2]:993",
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
             65535 65535\r\n",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
            "192.0.2.1:1",
            "[::1]:2",
        ),
    ] {
        let expected = Addresses {
            client: client.parse().unwrap(),
            proxy: proxy.parse().unwrap(),
        };
        holds(line.as_bytes(), Some(expected));
    }
    holds(b"PROXY UNKNOWN\r\n", None);
    holds(b"PROXY UNKNOWN ffff:f...f:ffff 65535 \xc3\xa4\r\n", None);
}

#[test]
fn lines_of_version_1_are_strict() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 56324 143\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 143 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 143 1\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.2 56324 143\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 056324 143\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 +1 143\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.2 1 143\r\n",
        "PROXY TCP4 192.0.2 198.51.100.2 1 143\r\n",
        "PROXY TCP4 ::1 ::1 1 143\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 1 143\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 1 143\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 143\n\r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(ProxyError::BadLine), "{line}");
    }
    let endless = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat();
    assert_eq!(parse(&endless[..106]), Ok(None));
    assert_eq!(parse(&endless[..107]), Err(ProxyError::BadLine));
    let mut longest = endless[..107].to_vec();
    longest[105..].copy_from_slice(b"\r\n");
    holds(&longest, None);
}

#[test]
fn headers_of_version_2_are_read_and_unknown_extensions_skipped() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 0, 143];
    let addresses = Addresses {
        client: "192.0.2.1:56324".parse().unwrap(),
        proxy: "198.51.100.2:143".parse().unwrap(),
    };
    holds(&binary(0x21, 0x11, &v4), Some(addresses));
    let tlv = [4, 0, 3, 0, 0, 0, 0xea, 0, 0, 0xff, 0, 2, 0xff, 0xff];
    holds(
        &binary(0x21, 0x11, &[&v4[..], &tlv].concat()),
        Some(addresses),
    );
    // A client's whole certificate, as some proxies send it.
    let certificate = [&[0x28, 0x10, 0][..], &[7; 0x1000]].concat();
    holds(
        &binary(0x21, 0x11, &[&v4[..], &certificate].concat()),
        Some(addresses),
    );

    let v6 = [[0x20; 16].as_slice(), &[0x30; 16], &[0, 1, 0, 2]].concat();
    let addresses = Addresses {
        client: "[2020:2020:2020:2020:2020:2020:2020:2020]:1"
            .parse()
            .unwrap(),
        proxy: "[3030:3030:3030:3030:3030:3030:3030:3030]:2"
            .parse()
            .unwrap(),
    };
    holds(&binary(0x21, 0x21, &v6), Some(addresses));
}

#[test]
fn a_proxy_that_speaks_for_itself_or_knows_nothing_leaves_the_addresses() {
    for (command, family, body) in [
        (0x20, 0x00, &[][..]),
        (0x20, 0x11, &[1; 12]),
        (0x20, 0xff, &[1; 3]),
        (0x21, 0x00, &[]),
        (0x21, 0x00, &[9; 20]),
        (0x21, 0x31, &[b'/'; 216]),
    ] {
        holds(&binary(command, family, body), None);
    }
}

#[test]
fn headers_of_version_2_are_strict() {
    let body = [1; 36];
    for (command, family, length, error) in [
        (0x11, 0x11, 12, ProxyError::Unknown),
        (0x31, 0x11, 12, ProxyError::Unknown),
        (0x22, 0x11, 12, ProxyError::Unknown),
        (0x21, 0x12, 12, ProxyError::Unknown),
        (0x21, 0x22, 36, ProxyError::Unknown),
        (0x21, 0x41, 36, ProxyError::Unknown),
        (0x21, 0x11, 11, ProxyError::Short),
        (0x21, 0x21, 35, ProxyError::Short),
    ] {
        let header = binary(command, family, &body[..length]);
        assert_eq!(parse(&header), Err(error), "{header:?}");
        // It is known as soon as the fixed part is there.
        assert_eq!(parse(&header[..16]), Err(error));
    }
    let long = binary(0x21, 0x11, &[1; LONGEST - 15]);
    assert_eq!(parse(&long[..16]), Err(ProxyError::Long));
    assert_eq!(
        parse(&binary(0x21, 0x31, &[0; 215])[..16]),
        Err(ProxyError::Short)
    );
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 0, 143];

/// What is said of TLS in a header with these extensions.
fn tls(extensions: &[u8]) -> Result<bool, ProxyError> {
    let header = binary(0x21, 0x11, &[&V4[..], extensions].concat());
    let header = parse(&header)?.expect("it is whole");
    assert!(header.addresses.is_some() && !header.is_check);
    Ok(header.tls)
}

#[test]
fn a_client_came_by_tls_if_the_proxy_says_so() {
    // PP2_CLIENT_SSL, verify, and a version, cipher and common name.
    let version = b"\x21\x00\x07TLSv1.3";
    let more = b"\x23\x00\x03AES\x22\x00\x03bob\x24\x00\x00";
    let of = |client: u8, verify: u8, parts: &[&[u8]]| {
        let parts = parts.concat();
        let length = u16::try_from(5 + parts.len()).unwrap().to_be_bytes();
        [&[0x20][..], &length, &[client, 0, 0, 0, verify], &parts].concat()
    };
    for (extensions, expected) in [
        (of(1, 0, &[version]), Ok(true)),
        (of(1, 0, &[]), Ok(true)),
        (of(7, 0, &[version, more]), Ok(true)),
        // That its certificate is none does not take TLS away.
        (of(3, 1, &[more]), Ok(true)),
        (of(0, 0, &[version]), Ok(false)),
        (of(6, 0, &[version]), Ok(false)),
        ([&of(1, 0, &[])[..], b"\x01\x00\x04imap"].concat(), Ok(true)),
        ([b"\x05\x00\x02id", &of(1, 0, &[])[..]].concat(), Ok(true)),
        ([of(1, 0, &[]), of(0, 0, &[])].concat(), Ok(false)),
        (b"\x21\x00\x07TLSv1.3".to_vec(), Ok(false)),
        (
            b"\x20\x00\x04\x01\0\0\0".to_vec(),
            Err(ProxyError::BadExtension),
        ),
        (
            of(1, 0, &[b"\x21\x00\x09TLSv1.3"]),
            Err(ProxyError::BadExtension),
        ),
        (of(1, 0, &[b"\x21\x00"]), Err(ProxyError::BadExtension)),
        (
            b"\x20\x01\x00\x01\0\0\0\0".to_vec(),
            Err(ProxyError::BadExtension),
        ),
        (b"\x04\xff".to_vec(), Err(ProxyError::BadExtension)),
    ] {
        assert_eq!(tls(&extensions), expected, "{extensions:?}");
    }
    // Of addresses that mean nothing it is said as well; of a check it is not.
    let ssl = of(1, 0, &[]);
    let header = parse(&binary(0x21, 0, &ssl)).unwrap().unwrap();
    assert!(header.tls && header.addresses.is_none());
    let header = parse(&binary(0x20, 0, &ssl)).unwrap().unwrap();
    assert!(!header.tls && header.is_check);
}

#[test]
fn a_checksum_that_is_there_must_be_right() {
    let all = (0..32).collect::<Vec<u8>>();
    // RFC 3720 B.4
    assert_eq!(crc32c(all.iter()), 0x46dd_794e);
    assert_eq!(crc32c([0; 32].iter()), 0x8a91_36aa);
    let body = [
        &V4[..],
        b"\x03\x00\x04\0\0\0\0",
        b"\x20\x00\x05\x01\0\0\0\0",
    ]
    .concat();
    let mut header = binary(0x21, 0x11, &body);
    let sum = crc32c(header.iter()).to_be_bytes();
    let at = FIXED + V4.len() + 3;
    assert_eq!(parse(&header), Err(ProxyError::Checksum));
    header[at..at + 4].copy_from_slice(&sum);
    assert!(parse(&header).unwrap().unwrap().tls);
    // All but the octet that says that it is a checksum.
    for octet in (FIXED..header.len()).filter(|&octet| octet != FIXED + V4.len()) {
        let mut wrong = header.clone();
        wrong[octet] ^= 0x10;
        assert!(!matches!(parse(&wrong), Ok(Some(_))), "{octet}");
    }
    assert_eq!(tls(b"\x03\x00\x03\0\0\0"), Err(ProxyError::BadExtension));
}

#[test]
fn what_is_no_header_is_known_with_the_first_wrong_octet() {
    for input in [
        &b"a1 LOGIN alice secret\r\n"[..],
        b"\x16\x03\x01\x02\x00",
        b"PROXX",
        b"proxy ",
        b"PROXY\tTCP4",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"\n",
    ] {
        assert_eq!(parse(input), Err(ProxyError::NoHeader), "{input:?}");
    }
}

#[test]
fn a_network_is_so_many_bits_of_an_address() {
    let networks = [
        ("192.0.2.0", 24),
        ("2001:db8::", 32),
        ("198.51.100.7", 32),
        ("10.0.0.0", 8),
    ]
    .map(|(address, bits)| (address.parse().unwrap(), bits));
    let within = |address: &str| is_within(address.parse().unwrap(), &networks);
    for address in [
        "192.0.2.0",
        "192.0.2.255",
        "::ffff:192.0.2.9",
        "2001:db8:ffff::1",
        "198.51.100.7",
        "10.255.0.1",
    ] {
        assert!(within(address), "{address}");
    }
    for address in [
        "192.0.3.0",
        "2001:db9::1",
        "198.51.100.6",
        "::1",
        "11.0.0.0",
        "::c000:200",
    ] {
        assert!(!within(address), "{address}");
    }
    let all = [("0.0.0.0".parse().unwrap(), 0), ("::".parse().unwrap(), 0)];
    assert!(is_within("203.0.113.1".parse().unwrap(), &all));
    assert!(is_within("2001:db8::1".parse().unwrap(), &all));
    assert!(!is_within("2001:db8::1".parse().unwrap(), &all[..1]));
}

/// The header says so, whatever follows, and nothing before it is complete.
fn holds(header: &[u8], addresses: Option<Addresses>) {
    let expected = ProxyHeader {
        length: header.len(),
        addresses,
        tls: false,
        is_check: header.starts_with(b"PROXY UNKNOWN") || header.get(12) == Some(&LOCAL),
    };
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Ok(None), "{end} of {header:?}");
    }
    for rest in [&b""[..], b"\r\n", b"a1 NOOP\r\n", b"PROXY UNKNOWN\r\n"] {
        assert_eq!(parse(&[header, rest].concat()), Ok(Some(expected)));
    }
}

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, body].concat()
}
