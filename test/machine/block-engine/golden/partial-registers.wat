locals i64 i64 i64 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i64 i64 i64
i32.const 0
i64.load offset=24
local.set 2
i32.const 0
i64.load
local.set 3
i32.const 0
i64.load offset=8
local.set 4
i32.const 0
i64.load offset=136
local.set 5
i32.const 0
i64.load offset=144
local.set 6
i32.const 0
i64.load offset=152
local.set 7
i32.const 0
i64.load32_u offset=640
i32.wrap_i64
local.set 8
local.get 0
i32.load offset=56
local.set 9
block
  loop
    i32.const 0
    local.set 11
    local.get 1
    i32.const 3
    i32.le_s
    br_if 1
    block
      block
        local.get 9
        br_table 0 0
      end
      local.get 2
      i64.const 255
      i64.and
      local.set 16
      local.get 3
      i64.const -65281
      i64.and
      local.get 16
      i64.const 8
      i64.shl
      i64.or
      local.set 3
      local.get 4
      i64.const 65535
      i64.and
      local.set 17
      local.get 3
      i64.const -65536
      i64.and
      local.get 17
      i64.or
      local.set 3
      local.get 1
      i32.const 2
      i32.sub
      local.set 1
      br 0
    end
    i32.const 2097280
    local.set 0
    i32.const 1
    local.set 11
    br 1
  end
end
i32.const 0
local.get 3
i64.store
i32.const 0
local.get 5
i64.store offset=136
i32.const 0
local.get 6
i64.store offset=144
i32.const 0
local.get 7
i64.store offset=152
block
  block
    block
      local.get 11
      br_table 0 1 2
    end
    local.get 0
    local.get 1
    return_call 6
  end
  local.get 0
  local.get 1
  local.get 0
  i32.load
  return_call_indirect 3 0
end
local.get 10
local.get 1
return_call 5
end
