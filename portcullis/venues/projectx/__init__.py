"""The ProjectX Gateway, the venue behind TopstepX and other firms: REST, and two SignalR hubs."""
