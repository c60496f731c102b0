"""What `sluice diff` is told by bundles and by file systems in them, and what it says itself."""
from mutant import Mutant

UNPACKED = "signer/unpacked.c"
EXT4 = "signer/contents_ext4.c"
CONTENTS = "signer/contents.c"
SEARCH = "signer/block_search.c"
ADVICE = "signer/advice.c"
FETCHING = "signer/fetching.c"

MUTANTS = [
    Mutant("chunks are unpacked whatever their digests are", UNPACKED,
           "chunks_decode(s->inflater, jobs, s->count, &failed, e) < 0)",
           "chunks_decode(s->inflater, jobs, s->count, &failed, e) < 0 && false)",
           "test_unpacked", "a_byte_that_is_not_what_was_signed_is_refused"),
    Mutant("blocks of a file system that list themselves are followed for ever", EXT4,
           "if (x->blocks_left-- == 0) {", "if (false) {",
           "test_contents", "blocks_that_list_themselves_are_not_followed_for_ever"),
    Mutant("a file may have blocks outside of its file system", EXT4,
           "if (*block >= ext2fs_blocks_count(fs->super)) {", "if (false) {",
           "test_contents", "blocks_outside_of_the_file_system_are_refused"),
    Mutant("a file system may be larger than the image that it is in", EXT4,
           "if (ext2fs_blocks_count(x->fs->super) > u->size / x->fs->blocksize)", "if (false)",
           "test_contents", "an_image_that_is_cut_off_has_no_files_and_says_why"),
    Mutant("two files may own the same byte", CONTENTS,
           "uint64_t cut = x.at < end ? end - x.at : 0;", "uint64_t cut = 0 * end;",
           "test_contents", "a_block_that_two_files_claim_is_counted_once"),
    Mutant("blocks are found by their hints alone", SEARCH,
           "(uint64_t)s->blocks[slot] * HINT_BLOCK_BYTES,\n\t\t    HINT_BLOCK_BYTES) == 0)",
           "(uint64_t)s->blocks[slot] * HINT_BLOCK_BYTES,\n\t\t    HINT_BLOCK_BYTES) != 2)",
           "test_block_search", "other_bytes_with_the_same_hint_are_not_found"),
    Mutant("blocks are thought to be looked for at every byte where a box does not", FETCHING,
           "(found == BLOCK_UNALIGNED && !l->slides)", "false",
           "e2e/test_diff", "test_where_little_changed_a_box_looks_no_further_and_so_does_it"),
    Mutant("blocks are thought to be looked for at multiples of 4 KiB only", FETCHING,
           "(found == BLOCK_UNALIGNED && !l->slides)", "found == BLOCK_UNALIGNED",
           "e2e/test_diff", "test_what_is_said_is_what_a_box_fetches"),
    Mutant("gaps between ranges are thought to cost nothing", FETCHING,
           "s->gaps += at - s->end;", "s->gaps += 0;",
           "e2e/test_diff", "test_what_is_said_is_what_a_box_fetches"),
    Mutant("advice is given on compressed files that would cost as much if they were not", ADVICE,
           "if (would / SAVED_QUARTERS >= bytes / 4)", "if (bytes == 0)",
           "e2e/test_diff",
           "test_advice_names_compressed_files_that_would_cost_less_if_they_were_not"),
    Mutant("advice is given on metadata that has to differ", ADVICE,
           "if (!a->detail[0])", "if (false)",
           "e2e/test_diff", "test_metadata_that_has_to_differ_is_no_matter_for_advice"),
]
