"""Phones that somebody else's farm lends for a while, and that adb then reaches over the network.

    lease     what a farm lends, and what every kind of farm can do: list, acquire, release
    stf       DeviceFarmer STF, over its REST interface
    web       one question to such an interface, with errors as sentences
    hold      borrows phones for the time of a run, keeps them, and gives them back

The one decision: a lent phone keeps the key of its serial, ``android:SERIAL``, wherever adb reaches it today. So its
series go on from lease to lease.
"""
