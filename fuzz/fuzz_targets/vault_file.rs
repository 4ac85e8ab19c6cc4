//! `vault.json`. JSON has many forms of one object, so what is compared is the object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::vaultfile::VaultFile;

fuzz_target!(|data: &[u8]| {
    if let Ok(file) = VaultFile::decode(data) {
        let again = VaultFile::decode(&file.encode()).expect("what was written can be read");
        assert_eq!(again, file);
    }
});
