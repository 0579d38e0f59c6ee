locals i64 v128 v128 i64 i64 i64 i32 i32 i64 i32 i32 i64 i64 i64 i64 i32 i32 v128 v128 v128 i64 i64 i32 i32
i32.const 0
i64.load
local.set 2
i32.const 0
v128.load offset=704
local.set 3
i32.const 0
v128.load offset=720
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
    i32.const 4
    i32.le_s
    br_if 1
    block
      block
        local.get 9
        br_table 0 0
      end
      local.get 2
      local.set 16
      local.get 16
      i64.const 8
      i64.shr_u
      i32.wrap_i64
      i32.const 16368
      i32.and
      local.get 8
      i32.add
      local.tee 17
      i64.load offset=65536
      local.get 16
      i64.const 15
      i64.add
      i64.const -4096
      i64.and
      i64.eq
      if
        local.get 16
        i32.wrap_i64
        local.get 17
        i32.load offset=65544
        i32.add
        local.set 18
      else
        i32.const 2097152
        local.set 0
        i32.const 0
        local.set 11
        br 3
      end
      local.get 18
      v128.load
      local.set 19
      local.get 19
      local.set 3
      local.get 4
      local.set 20
      local.get 3
      local.set 21
      local.get 21
      local.get 20
      v128.xor
      local.set 3
      local.get 3
      i32x4.extract_lane 0
      i64.extend_i32_u
      local.set 22
      local.get 2
      local.set 23
      local.get 23
      i64.const 8
      i64.shr_u
      i32.wrap_i64
      i32.const 16368
      i32.and
      local.get 8
      i32.add
      local.tee 24
      i64.load offset=81920
      local.get 23
      i64.const 3
      i64.add
      i64.const -4096
      i64.and
      i64.eq
      if
        local.get 23
        i32.wrap_i64
        local.get 24
        i32.load offset=81928
        i32.add
        local.set 25
      else
        local.get 1
        i32.const 2
        i32.sub
        local.set 1
        i32.const 2097280
        local.set 0
        i32.const 0
        local.set 11
        br 3
      end
      local.get 25
      local.get 22
      i64.store32
      local.get 1
      i32.const 3
      i32.sub
      local.set 1
      br 0
    end
    i32.const 2097344
    local.set 0
    i32.const 1
    local.set 11
    br 1
  end
end
i32.const 0
local.get 3
v128.store offset=704
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
