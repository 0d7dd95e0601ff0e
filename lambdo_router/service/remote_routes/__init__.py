"""
Remote routes: a routes file in a bucket or on a web server, with all files it refers to.

    address.py        parses `s3://bucket/key` and `https://host/path`
    remote_store.py   the seam: where files are read from, and what may go wrong
    bucket.py         a store in S3, over boto3
    web.py            a store on a web server, over httpx
    snapshot.py       everything that a load needs, fetched on demand, within bounds
    cache.py          the last good copy, on disk
    following.py      the first load, and every later one: read this first

A routes file refers to others, which it includes, and to schemas, which refer to more. Only loading
shows which. So files are fetched into a folder, the folder is loaded, and whatever the load missed
is fetched next, until nothing is missing. The rules of `include` and `schema` stay in config/.
"""
