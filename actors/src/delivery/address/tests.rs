//! Every way in which addresses of the own network have been written to look like others'.

use proptest::prelude::*;

use super::*;

fn refused(url: &str) -> AddressError {
    match Target::parse(url, Reach::Public) {
        Ok(target) => panic!("{url} is taken: {target:?}"),
        Err(why) => why,
    }
}

fn allowed(address: &str) -> bool {
    is_allowed(address.parse().unwrap(), Reach::Public)
}

#[test]
fn an_endpoint_has_a_host_a_port_and_a_path() {
    let target = Target::parse("https://hooks.example.com:8443/a/b?c=d#e", Reach::Public).unwrap();
    let parts = (target.host.as_str(), target.port, target.authority.as_str(), target.path.as_str());
    assert_eq!(parts, ("hooks.example.com", 8443, "hooks.example.com:8443", "/a/b?c=d"));
    let plain = Target::parse("https://EXAMPLE.com", Reach::Public).unwrap();
    assert_eq!((plain.port, plain.authority.as_str(), plain.path.as_str()), (443, "example.com", "/"));
}

#[test]
fn only_https_without_names_and_on_its_own_ports() {
    assert_eq!(refused("http://example.com"), AddressError::Scheme);
    assert_eq!(refused("ftp://example.com"), AddressError::Scheme);
    assert_eq!(refused("https://user@example.com"), AddressError::UserInfo);
    assert_eq!(refused("https://:word@example.com"), AddressError::UserInfo);
    assert_eq!(refused("https://example.com:22"), AddressError::Port);
    assert_eq!(refused("https://"), AddressError::NoUrl);
    assert_eq!(refused("example.com"), AddressError::NoUrl);
    assert_eq!(refused(&format!("https://example.com/{}", "x".repeat(URL_BYTES_MAX))), AddressError::TooLong);
}

#[test]
fn the_own_machine_is_refused_however_it_is_written() {
    let forms = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "intranet",
        "printer.local",
        "metadata.google.internal",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ];
    for form in forms {
        assert!(matches!(refused(&format!("https://{form}/")), AddressError::Forbidden(_)), "{form}");
    }
}

#[test]
fn metadata_and_private_addresses_are_refused() {
    let addresses = [
        "169.254.169.254",
        "168.63.129.16",
        "10.1.2.3",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "198.19.0.1",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "2002::1",
        "100::1",
        "5f00::1",
        "64:ff9b:1::1",
        "2606:4700::5efe:7f00:1",
        "2606:4700::200:5efe:7f00:1",
    ];
    for address in addresses {
        assert!(!allowed(address), "{address}");
    }
}

#[test]
fn public_addresses_are_called() {
    for address in ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
    {
        assert!(allowed(address), "{address}");
    }
}

#[test]
fn the_sandbox_may_call_its_own_machine_and_nothing_else_more() {
    let target = Target::parse("http://127.0.0.1:80/x", Reach::Sandbox).unwrap();
    assert_eq!((target.scheme, target.port), (Scheme::Http, 80));
    assert!(is_allowed("::1".parse().unwrap(), Reach::Sandbox));
    assert!(!is_allowed("10.0.0.1".parse().unwrap(), Reach::Sandbox));
}

#[test]
fn one_forbidden_address_among_several_refuses_the_name() {
    let target = Target::parse("https://example.com", Reach::Public).unwrap();
    let found = ["1.1.1.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    assert!(target.allowed(&found, Reach::Public).is_err());
    assert_eq!(target.allowed(&found[..1], Reach::Public).unwrap(), ["1.1.1.1:443".parse().unwrap()]);
}

fn private_v4() -> impl Strategy<Value = Ipv4Addr> {
    let block = proptest::sample::select(DENIED_V4.clone());
    (block, any::<u32>()).prop_map(|(block, drawn)| {
        let host = u32::MAX.checked_shr(block.prefix_len().into()).unwrap_or(0);
        Ipv4Addr::from(u32::from(block.network()) | (drawn & host))
    })
}

/// The ways an address of the fourth version travels in one of the sixth.
fn carried(address: Ipv4Addr) -> Vec<Ipv6Addr> {
    let number = u128::from(u32::from(address));
    let under = |prefix: u128, shift: u32| Ipv6Addr::from(prefix | (number << shift));
    vec![
        address.to_ipv6_mapped(),
        under(0, 0),
        under(0x0064_ff9b_u128 << 96, 0),
        under(0x2002_u128 << 112, 80),
        under(0x2001_u128 << 112, 64),
        Ipv6Addr::from((0x2001_u128 << 112) | u128::from(!u32::from(address))),
        under((0x2606_4700_u128 << 96) | (0x5efe_u128 << 32), 0),
        under(0xffff_u128 << 48, 0),
    ]
}

proptest! {
    #[test]
    fn a_private_address_is_refused_whatever_carries_it(address in private_v4()) {
        prop_assert!(!is_allowed(address.into(), Reach::Public));
        for carrier in carried(address) {
            prop_assert!(!is_allowed(carrier.into(), Reach::Public), "{carrier}");
            let url = format!("https://[{carrier}]/");
            prop_assert!(Target::parse(&url, Reach::Public).is_err());
        }
    }

    #[test]
    fn a_private_address_is_refused_in_every_base(address in private_v4()) {
        let number = u32::from(address);
        let [a, b, c, d] = address.octets();
        let forms = [
            format!("{number}"), format!("0x{number:x}"), format!("0{number:o}"),
            format!("{a}.{}", number & 0x00ff_ffff), format!("{a}.{b}.{}", u16::from_be_bytes([c, d])),
            format!("0x{a:x}.0{b:o}.{c}.{d}"),
        ];
        for form in forms {
            prop_assert!(Target::parse(&format!("https://{form}/"), Reach::Public).is_err(), "{form}");
        }
    }

    #[test]
    fn outside_global_unicast_only_a_carried_public_address_is_called(number: u128) {
        let address = Ipv6Addr::from(number);
        if is_allowed(address.into(), Reach::Public) {
            prop_assert!(GLOBAL_V6.contains(&address) || NAT64.contains(&address) || address.to_ipv4_mapped().is_some());
        }
    }

    #[test]
    fn no_text_is_too_strange_to_be_looked_at(text in ".{0,100}") {
        if let Ok(target) = Target::parse(&text, Reach::Public) {
            prop_assert!(target.literal().is_none_or(|address| is_allowed(address, Reach::Public)));
        }
    }
}
