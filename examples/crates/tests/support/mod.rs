//! What these tests share.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(unused_imports, reason = "as above")]

#[path = "../../../servers/tests/support/running.rs"]
mod running;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) use running::run;

/// A certificate for `localhost` that vouches for itself, and its key.
pub(crate) fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let CertifiedKey { cert, signing_key } = made();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    (cert.into(), key)
}

fn made() -> CertifiedKey<KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}
