"""
Routes from elsewhere: a routes file in a bucket or on a web server, with all that it refers to.

    address.py     what `s3://bucket/key` and `https://host/path` say, and what of it may be shown
    place.py       the seam: a place that files are read from, and what may go wrong
    bucket.py      the place in S3, over boto3
    web.py         the place on a web server, over httpx
    snapshot.py    everything that a load needs, fetched as the load asks for it, within bounds
    cache.py       the last good copy, on this machine's disk
    following.py   the first load, and every load after it: read this first

A routes file names others: those that it includes, and schemas, which name further ones. What it
names is known when it is loaded. So files are fetched into a folder, the folder is loaded, and what
the load looked for and did not find is fetched next, until nothing is missing. The rules of
`include` and `schema` are thus those of config/, and said nowhere else.
"""
