"""The commands of ``rtcai``, one module each."""
