//! Who is at the other end of a connection, by its certificate.

use guard::Certificate;
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Reads what a verified certificate says of its owner; `None` when that cannot be read.
pub(super) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()?;
    let names = names.into_iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
    Some(Certificate { subject: subject(certificate.subject())?, names })
}

/// A name of a kind that identifies somebody here.
fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) | GeneralName::URI(name) | GeneralName::RFC822Name(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(octets) => {
            let v4 = <[u8; 4]>::try_from(*octets).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*octets).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// The last part comes first (RFC 4514 2.1). Nobody can put a part of his own into a value, since what separates is escaped.
fn subject(name: &X509Name<'_>) -> Option<String> {
    let parts: Option<Vec<String>> =
        name.iter().map(|part| Some(part.iter().map(attribute).collect::<Option<Vec<String>>>()?.join("+"))).collect();
    parts.map(|mut parts| {
        parts.reverse();
        parts.join(",")
    })
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let value = attribute.as_str().ok()?;
    let kind = oid2abbrev(attribute.attr_type(), oid_registry());
    let kind = kind.map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
    let mut text = format!("{kind}=");
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_edge = (at == 0 && matches!(character, ' ' | '#')) || (at == last && character == ' ');
        match character {
            '\0' => text.push_str("\\00"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' => text.extend(['\\', character]),
            _ if is_edge => text.extend(['\\', character]),
            _ => text.push(character),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    #[test]
    fn the_names_of_a_certificate_are_read_and_garbage_is_not() {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::OrganizationName, "Trattoria");
        parameters.distinguished_name.push(DnType::CommonName, "#till-7,O=Other ");
        let text = |text: &str| Ia5String::try_from(text).unwrap();
        parameters.subject_alt_names = vec![
            SanType::DnsName(text("till.example")),
            SanType::URI(text("spiffe://shop/till/7")),
            SanType::Rfc822Name(text("till@example.com")),
            SanType::IpAddress(IpAddr::from([10, 0, 0, 7])),
        ];
        let certificate = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap();

        let read = super::read(certificate.der()).unwrap();

        assert_eq!(read.subject, r"CN=\#till-7\,O=Other\ ,O=Trattoria");
        assert_eq!(read.names, ["till.example", "spiffe://shop/till/7", "till@example.com", "10.0.0.7"]);
        assert_eq!(super::read(&CertificateDer::from(vec![0x30, 0x03, 1, 1, 1])), None);
    }
}
