"""Sources of text: files, folders, globs, URLs, standard input, built-ins, datasets of the Hub.

Begin with `resolve`, which turns what a user wrote into the files it means. `builtin` lists the
named corpora, `downloads` and `huggingface` fetch, `cache` is where all of it is kept. Files come
out unread: their format is the business of `textwright.data.formats`.
"""
