"""systemd-boot under OVMF, which counts tries in the names of its entries; and how long a box takes
to confirm an update."""
import time

from vm.loaders import SystemdBoot
from vm.machine import accelerator
from vm.scene import Scene, Walk

TAKES_S = 90
AGENT_SHARE_MAX = 0.1
# Says again and again what processor time has been taken so far by the agent, its network child,
# its programs, and whatever started it: they have a control group of their own.
SPENT = """group=/sys/fs/cgroup/agent
mount -t cgroup2 none /sys/fs/cgroup && mkdir $group
(while sleep 0.5; do read -r _ n < $group/cpu.stat && echo "GUEST spent $n"; done) &
echo $$ > $group/cgroup.procs
"""


class SystemdBootOvmf(Walk, Scene):
    LOADER, CHANGES = SystemdBoot, [("/etc/start", SPENT)]

    def confirmed(self):
        seconds = time.monotonic() - self.machine.boot_s
        self.machine.wait(r"(?s)2\.0\.0: confirmed.*GUEST spent \d+[\r\n]")
        spent_s = int(self.machine.find(r"(?s)2\.0\.0: confirmed.*?GUEST spent (\d+)")[0]) / 1e6
        print(f"\n    power-on to confirmed: {seconds:.1f} s, of which the agent ran "
              f"{spent_s:.2f} s ({100 * spent_s / seconds:.1f} %)")
        # Emulated, code that runs once costs its translation, and what the host does beside counts
        # as the agent's: there it is a figure, and no measure.
        if accelerator(self.kernel.image) == "kvm":
            self.assertLess(spent_s, AGENT_SHARE_MAX * seconds)
