"""Checks that the watch rests on, and gates that several sign."""
from mutant import Mutant

METADATA = "signer/metadata.c"
JUDGEMENT = "common/format/judgement.c"
GATE = "signer/cmd_gate.c"
STOP = "signer/cmd_stop.c"

MUTANTS = [
    Mutant("who signs last takes back what others have signed", METADATA,
           "if (current)\n\t\treturn 0;", "if (current || !current)\n\t\treturn 0;",
           "e2e/test_gates",
           "test_a_stop_that_is_signed_meanwhile_is_not_lost_to_a_wave_that_opens"),
    Mutant("a wave that opens meanwhile holds up a stop", STOP,
           "if (why.errnum != EAGAIN)", "if (1)",
           "e2e/test_gates", "test_a_stop_goes_out_whoever_opens_a_wave_meanwhile"),
    Mutant("what was accepted stops again", JUDGEMENT,
           "return count > accepted ? count - accepted : 0;", "(void)accepted;\n\treturn count;",
           "test_judgement", "what_was_accepted_stops_nobody_again_and_is_not_forgotten"),
    Mutant("what was accepted is forgotten", JUDGEMENT,
           "!wave_is_good(p, &s->waves[s->open - 1], &v))",
           "!wave_is_good(p, s->accepted ? s->accepted : s->waves, &v))",
           "test_judgement", "what_was_accepted_stops_nobody_again_and_is_not_forgotten"),
    Mutant("a pause shuts what is open", GATE,
           "gate.gate.paused = pause;", "gate.gate.paused = pause;\n\tgate.gate.open_count = 0;",
           "e2e/test_gates", "test_a_plan_is_paused_and_goes_on_as_open_as_it_was"),
]
