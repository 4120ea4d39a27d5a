"""What the compiled manifest of an APK says of its components."""

from __future__ import annotations

from dataclasses import replace

from harness.runners.android.manifest import EVERY_CHANGE, RIGHT, Component, parse_components

# The output of aapt2 2.19, shortened.
TREE = """\
N: android=http://schemas.android.com/apk/res/android (line=3)
  E: manifest (line=3)
    A: package="org.phonebench.runner.app" (Raw: "org.phonebench.runner.app")
      E: application (line=8)
        A: http://schemas.android.com/apk/res/android:name(0x01010003)="org.x.App" (Raw: "org.x.App")
          E: profileable (line=17)
            A: http://schemas.android.com/apk/res/android:shell(0x01010594)=true
          E: activity (line=34)
            A: http://schemas.android.com/apk/res/android:name(0x01010003)="org.x.Main" (Raw: "org.x.Main")
            A: http://schemas.android.com/apk/res/android:permission(0x01010006)="org.x.P" (Raw: "org.x.P")
            A: http://schemas.android.com/apk/res/android:exported(0x01010010)=true
            A: http://schemas.android.com/apk/res/android:configChanges(0x0101001f)=0x5000ffff
          E: provider (line=44)
            A: http://schemas.android.com/apk/res/android:name(0x01010003)="org.x.Door" (Raw: "org.x.Door")
            A: http://schemas.android.com/apk/res/android:process(0x01010011)=":door" (Raw: ":door")
"""


def test_components_are_read_with_their_own_attributes() -> None:
    assert parse_components(TREE) == (
        Component(kind="activity", name="org.x.Main", exported=True, permission="org.x.P", config_changes=EVERY_CHANGE),
        Component(kind="provider", name="org.x.Door", exported=False, process=":door"),
    )


def test_a_component_that_the_runner_does_not_have_is_seen() -> None:
    receiver = TREE.replace("E: profileable", "E: receiver")
    assert [component.kind for component in parse_components(receiver)] == ["receiver", "activity", "provider"]


def test_every_change_of_the_configuration_has_its_bit() -> None:
    # The bits of android.content.pm.ActivityInfo: 0 to 15 without a gap, CONFIG_FONT_WEIGHT_ADJUSTMENT and
    # CONFIG_FONT_SCALE.
    assert sum(1 << bit for bit in (*range(16), 28, 30)) == EVERY_CHANGE
    assert RIGHT[0].config_changes == EVERY_CHANGE
    assert replace(RIGHT[0], config_changes=0) != RIGHT[0]
