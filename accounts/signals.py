"""What others may want to know about keys and people.

Those of keys are sent after the commit, never inside a transaction. Each carries `key` (the key's
uuid) and `owner` (the user's id), and never a secret. A receiver reads the row itself, so a lost or
doubled signal does no harm. Those of people carry `user` (the row).
"""

from django.dispatch import Signal

key_added = Signal()  # the exchange has confirmed it
key_changed = Signal()  # armed, disarmed, halted, quarantined, new permissions or policy
key_revoked = Signal()  # no signature any more; sockets that are logged in with it must close

personal_data = Signal()  # a receiver returns what it keeps about him: a dict, ready for JSON
account_deleted = Signal()  # in the transaction: a receiver erases what tells who he was
