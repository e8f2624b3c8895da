"""File formats: the encoding of one file, and the text or the conversations in it.

Begin with `files`, whose `inspect_file` detects encoding and format; `read_text` and
`conversation_records` of `reading` call the reader of the format (`documents`, `tables`,
`transcripts`, `json_fragments`). Readers yield pieces, so that memory stays bounded whatever the
size. A file here is an opener and a label: where its bytes come from, `textwright.data.sources`
knows.
"""
