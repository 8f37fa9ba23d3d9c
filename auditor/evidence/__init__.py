"""What an auditor can verify on her own: an append-only chain, Merkle roots over labels, signatures, keyed digests of texts.

Nothing here knows a page or a model. :mod:`auditor.evidence.chain` is the log, :mod:`auditor.evidence.merkle` condenses a label
shard into one digest, :mod:`auditor.evidence.signing` signs the head, :mod:`auditor.evidence.keyed` keeps texts out of all three.
"""
