"""What `sluice diff` is told by bundles and by file systems in them, and what it says itself."""
from mutant import Mutant

UNPACKED = "signer/unpacked.c"
EXT4 = "signer/contents_ext4.c"
CONTENTS = "signer/contents.c"
SEARCH = "signer/block_search.c"
ADVICE = "signer/advice.c"
FETCHING = "signer/fetching.c"
BY_DELTA = "signer/by_delta.c"
DIFF = "signer/diff.c"
PATCH = "common/format/patch.c"

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
    Mutant("gaps between ranges are thought to cost nothing", "signer/spans.c",
           "s->gaps += at - s->end;", "s->gaps += 0;",
           "e2e/test_diff", "test_what_is_said_is_what_a_box_fetches"),
    Mutant("advice is given on compressed files that would cost as much if they were not", ADVICE,
           "if (would / SAVED_QUARTERS >= bytes / 4)", "if (bytes == 0)",
           "e2e/test_diff",
           "test_advice_names_compressed_files_that_would_cost_less_if_they_were_not"),
    Mutant("advice is given on metadata that has to differ", ADVICE,
           "if (!a->detail[0])", "if (false)",
           "e2e/test_diff", "test_metadata_that_has_to_differ_is_no_matter_for_advice"),
    Mutant("what a record takes is charged by plain bytes", BY_DELTA,
           "bill_charge(l->j->bill, entry->offset + at, len, spent - before);",
           "bill_charge(l->j->bill, entry->offset + at, len, (spent - before) * 0 +\n"
           "\t\t\tlen * entry->record.stored / l->weights[entry->record.number].plain);",
           "e2e/test_diff", "test_what_a_record_takes_is_charged_to_what_is_new_in_it"),
    Mutant("what a delta leaves to the bundle is thought to cost nothing", BY_DELTA,
           "l->d.stored = l->whole.bytes;", "l->d.stored = 0;",
           "e2e/test_diff", "test_what_is_said_of_a_delta_is_what_a_box_fetches_by_it"),
    Mutant("a box with a delta is thought to fetch the bundle's head", DIFF,
           "uint64_t total = d->delta.made.listing.head_length;",
           "uint64_t total = d->new.layout.head_size;",
           "e2e/test_diff", "test_what_is_said_of_a_delta_is_what_a_box_fetches_by_it"),
    Mutant("a delta is advised that saves next to nothing", DIFF,
           "return with / SAVED_QUARTERS > without / 4 ? 0 :",
           "return with > without ? 0 :",
           "e2e/test_diff", "test_the_file_that_changed_is_named_with_what_it_costs"),
    Mutant("compressed files are weighed as if there were no delta", ADVICE,
           "return j->delta ? ", "return j->delta && !j->scratch ? ",
           "e2e/test_diff", "test_compressed_files_are_weighed_by_what_a_delta_would_take_of_them"),
    Mutant("what a patch takes is thought to go evenly into its bytes", PATCH,
           "spent += (s->plain - inflow_left(s->flow)) * s->packed / s->plain;",
           "spent += s->packed - p->out_left * s->packed / 70000;",
           "test_patch", "what_is_spent_goes_to_the_bytes_that_need_it_and_adds_up"),
]
