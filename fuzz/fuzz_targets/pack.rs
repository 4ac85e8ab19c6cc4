//! A whole pack: refused, or exactly what a writer makes of its blobs. What is salvaged of any bytes is what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::pack::{PackBuilder, blob_id, parse_pack, toc_range, verify_pack};
use strongroom_format::salvage::salvage;

fuzz_target!(|data: &[u8]| {
    if let Some(footer) = data.last_chunk()
        && let Ok(range) = toc_range(data.len() as u64, footer)
    {
        assert!(range.start <= range.end && range.end <= data.len() as u64);
    }
    for entry in salvage(data) {
        let range = entry.range();
        assert_eq!(blob_id(&data[range.start as usize..range.end as usize]), entry.id);
    }
    let Ok(toc) = parse_pack(data) else { return };
    assert_eq!(toc.pack_length(), data.len() as u64);
    if verify_pack(toc.pack_id(), data).is_ok() {
        let mut builder = PackBuilder::new();
        for entry in toc.entries() {
            let range = entry.range();
            builder.push(entry.kind, entry.id, &data[range.start as usize..range.end as usize]);
        }
        let (name, bytes, again) = builder.finish();
        assert!(name == toc.pack_id() && bytes == data && again == toc);
    }
});
