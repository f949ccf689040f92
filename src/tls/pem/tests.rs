//! Valid PEM files, and the errors of invalid ones.

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A certificate without extensions, the output of `openssl x509 -req`.
const VERSION_1: &str = "-----BEGIN CERTIFICATE-----\n\
MIIBHjCBxQIULZiEwwCWrCC8nV0ZF+ApxHhzOS8wCgYIKoZIzj0EAwIwETEPMA0G\n\
A1UEAwwGYS50ZXN0MCAXDTI2MTEzMDE0MTc0MVoYDzIxMjYxMTA2MTQxNzQxWjAR\n\
MQ8wDQYDVQQDDAZhLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQV8PsQ\n\
EwixI4jQoldEi8L+MlHcyOPvUsnH4uLScUkJVT6RVXGoBcY3IeYLZWCEa/D6IkD2\n\
zXDcKU4Fi3JVoqJlMAoGCCqGSM49BAMCA0gAMEUCIQCLwNOVktrtSo6riM5fBIbP\n\
/kQVy26f10VkO8sa4/IrHAIgQlDKUEyR5xt6+AYSx5UVaINNhizOZb1e1ZxbVaau\n\
hZM=\n\
-----END CERTIFICATE-----\n\
";
const KEY_OF_VERSION_1: &str = "-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQXielLCOP4BGlJCx\n\
B3/VZrRzRMxe0UAVJzRfvtq9nUWhRANCAAQV8PsQEwixI4jQoldEi8L+MlHcyOPv\n\
UsnH4uLScUkJVT6RVXGoBcY3IeYLZWCEa/D6IkD2zXDcKU4Fi3JVoqJl\n\
-----END PRIVATE KEY-----\n\
";

/// Returns a folder with a certificate for `localhost`, its key, and a key that does not match.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let other = KeyPair::generate().unwrap().serialize_pem();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let whole = certificate.pem() + &key.serialize_pem();
    for (name, text) in [
        ("certificate", certificate.pem().as_str()),
        ("key", &key.serialize_pem()),
        ("other", &other),
        ("encrypted", encrypted),
        ("traditional", traditional),
        ("both", &whole),
        ("version 1", VERSION_1),
        ("its key", KEY_OF_VERSION_1),
        ("nothing", "hello\n"),
        ("cut", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
        (
            "bytes",
            "-----BEGIN CERTIFICATE-----\nMIIB!!\n-----END CERTIFICATE-----\n",
        ),
        (
            "empty",
            "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
        ),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

#[test]
fn a_pair_is_read_from_two_files_or_from_one() {
    let folder = folder();
    let file = |name| folder.path().join(name);
    assert_eq!(
        pair(&file("certificate"), &file("key"), &Files::own())
            .unwrap()
            .cert
            .len(),
        1
    );
    assert_eq!(
        pair(&file("both"), &file("both"), &Files::own())
            .unwrap()
            .cert
            .len(),
        1
    );
}

#[test]
fn what_is_wrong_names_its_file() {
    let folder = folder();
    for (certificate, key, file, what) in [
        ("missing", "key", "missing", "cannot be read: No such file"),
        ("nothing", "key", "nothing", "no certificate"),
        (
            "key",
            "certificate",
            "key",
            "a private key and no certificate",
        ),
        ("cut", "key", "cut", "no -----END line"),
        ("bytes", "key", "bytes", "not base64"),
        ("empty", "key", "empty", "is not a certificate"),
        (
            "version 1",
            "its key",
            "version 1",
            "the first certificate is X.509 version 1, and TLS needs version 3",
        ),
        ("certificate", "missing", "missing", "cannot be read"),
        (
            "certificate",
            "certificate",
            "certificate",
            "no private key",
        ),
        (
            "certificate",
            "other",
            "other",
            "not that of the first certificate",
        ),
        ("certificate", "encrypted", "encrypted", "encrypted"),
        ("certificate", "traditional", "traditional", "encrypted"),
    ] {
        let [certificate, key] = [certificate, key].map(|name| folder.path().join(name));
        let error = pair(&certificate, &key, &Files::own()).unwrap_err();
        assert_eq!(error.file, folder.path().join(file), "{error}");
        assert!(error.what.contains(what), "{error}");
        // Prose, without the Debug form of a type.
        assert!(
            !error.what.contains(['{', '(', '[']) || error.what.contains("(os error"),
            "{error}"
        );
    }
}

#[test]
fn a_file_that_is_replaced_has_another_stamp() {
    let folder = folder();
    let file = folder.path().join("key");
    let before = stamp(&file, &Files::own());
    assert_eq!(stamp(&file, &Files::own()), before);
    std::fs::rename(folder.path().join("other"), &file).unwrap();
    assert_ne!(stamp(&file, &Files::own()), before);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(stamp(&file, &Files::own()), None);
}
