"""Structure-aware fuzzing of everything that reads a file: valid files are mutated, and readers may only refuse.

    make fuzz SECONDS=600

seeds.py    one or more valid files of every kind
mutate.py   mutations of bytes; wire.py, words.py, chunks.py know protobuf, text and headers, picture files
targets.py  what reads each kind, as the commands do
arena.py    worker processes with limits; anything but a result or a clean refusal is a find
"""
