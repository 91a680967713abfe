"""Structure-aware fuzzing of all file readers: mutated files may only be read or rejected.

    make fuzz SECONDS=600

seeds.py    valid files of every kind
mutate.py   mutations of bytes; wire.py, words.py, chunks.py mutate protobuf, text and headers, image files
targets.py  reader of each kind
arena.py    worker processes with limits; anything but a result or an expected error is a finding
"""
