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
fn headers_of_version_2_are_read_and_their_extensions_skipped() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 0, 143];
    let addresses = Addresses {
        client: "192.0.2.1:56324".parse().unwrap(),
        proxy: "198.51.100.2:143".parse().unwrap(),
    };
    holds(&binary(0x21, 0x11, &v4), Some(addresses));
    let tlv = [4, 0, 3, 0, 0, 0, 0x20, 0, 5, 1, 0, 0, 0, 0];
    holds(
        &binary(0x21, 0x11, &[&v4[..], &tlv].concat()),
        Some(addresses),
    );
    holds(
        &binary(0x21, 0x11, &[&v4[..], &[0xff; 508]].concat()),
        Some(addresses),
    );
    // Extensions that are cut are not read either.
    holds(
        &binary(0x21, 0x11, &[&v4[..], &[4, 0xff]].concat()),
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
    let long = binary(0x21, 0x11, &[1; 521]);
    assert_eq!(parse(&long[..16]), Err(ProxyError::Long));
    holds(&binary(0x20, 0x11, &[1; 520]), None);
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
    let expected = Header {
        length: header.len(),
        addresses,
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
