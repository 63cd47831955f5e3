"""Fingerprints of pictures, and leaks: pictures of one collection that are changed copies of another's.

from rainsynth.fingerprint import find_leaks, fingerprint_of
leaks = find_leaks([fingerprint_of(photo) for photo in train], [fingerprint_of(photo) for photo in test])
"""

from rainsynth.fingerprint.features import FINGERPRINT_BYTES as FINGERPRINT_BYTES
from rainsynth.fingerprint.features import FINGERPRINT_VERSION as FINGERPRINT_VERSION
from rainsynth.fingerprint.features import fingerprint_of as fingerprint_of
from rainsynth.fingerprint.features import thumbnail_of as thumbnail_of
from rainsynth.fingerprint.features import unpack as unpack
from rainsynth.fingerprint.match import Similarity as Similarity
from rainsynth.fingerprint.match import find_similarity as find_similarity
from rainsynth.fingerprint.match import shared_fractions as shared_fractions
from rainsynth.fingerprint.search import Leak as Leak
from rainsynth.fingerprint.search import find_leaks as find_leaks
